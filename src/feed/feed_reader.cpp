// SPDX-License-Identifier: Apache-2.0
#include "feed/feed_reader.hpp"

#include "ports/stored_events.hpp"
#include "wire/json.hpp"

namespace netbuild::feed {
namespace {

constexpr std::size_t page = 500, archive_page = 200;

} // namespace

std::vector<Delivery> FeedReader::newest(std::size_t count) {
    std::vector<Delivery> found;
    for (const auto& event : feed_.ring().after(place_, interest_, count)) {
        place_ = place_.with(event->place);
        found.push_back({event, place_});
    }
    if (found.size() < count) place_ = place_.with(feed_.place());
    return found;
}

awaitable<result<std::vector<Delivery>>> FeedReader::older() {
    std::vector<Delivery> found;
    for (const Source source : {Source::engine, Source::documents}) {
        if (place_.of(source) >= feed_.ring().floor().of(source)) continue;
        CO_TRY_VOID(co_await older_of(source, found));
        break;
    }
    co_return found;
}

Delivery FeedReader::gap(Source source, Position upto, std::string_view reason) {
    auto event = std::make_shared<FeedEvent>();
    event->event = gap_event(place_.of(source), upto, reason);
    event->source = source;
    place_.of(source) = upto;
    event->place = place_;
    return {std::move(event), place_};
}

std::vector<Delivery> FeedReader::give_up_ahead() {
    std::vector<Delivery> found;
    for (const Source source : {Source::engine, Source::documents}) {
        const Position upto = feed_.place().of(source);
        if (place_.of(source) > upto) found.push_back(gap(source, upto, "unknown_offset"));
    }
    return found;
}

void FeedReader::take(Source source, const StreamEventPtr& event, std::vector<Delivery>& found) {
    if (event->position <= place_.of(source)) return;
    place_.of(source) = event->position;
    FeedEvent one{event, source, place_, {}};
    const auto payload = parse_json(event->payload);
    if (payload) one.rooms = rooms_of(*event, *payload);
    if (interest_.wants(one))
        found.push_back({std::make_shared<const FeedEvent>(std::move(one)), place_});
}

/// One page up to where the ring begins.
awaitable<result<void>> FeedReader::older_of(Source source, std::vector<Delivery>& found) {
    Position& place = place_.of(source);
    EventBus& bus = *feed_.bus(source);
    if (source == Source::engine && !std::exchange(horizon_known_, true)) {
        CO_TRY(const Position removed, co_await feed_.ports().archive.removed_upto());
        if (place < removed) found.push_back(gap(source, removed, "retention"));
    }
    const Position floor = feed_.ring().floor().of(source);
    CO_TRY(const auto events, co_await bus.read(place, page, {}));
    // Asked after the read: what it dropped before is noticed. Without any the store has them.
    CO_TRY(const Position first, co_await bus.first());
    const Position held = first.is_zero() ? floor : first;
    if (place.number + 1 < held.number) {
        const Position upto{held.number - 1, Position::last_ordinal};
        if (source == Source::documents) {
            if (!place.is_zero()) found.push_back(gap(source, upto, "retention"));
            place = std::max(place, std::min(upto, floor));
            co_return result<void>{};
        }
        CO_TRY(const auto stored, co_await feed_.ports().archive.after(place, archive_page));
        // Asked after the read, and again at each: a slow reader may be here for long.
        CO_TRY(const Position removed, co_await feed_.ports().archive.removed_upto());
        if (place < removed) found.push_back(gap(source, removed, "retention"));
        const Position before = place;
        for (const auto& event : stored)
            if (event->position < held) take(source, event, found);
        if (place == before) place = std::max(place, std::min(upto, floor));
        co_return result<void>{};
    }
    for (const auto& event : events) {
        if (event->position > floor) break; // the ring has it
        take(source, event, found);
    }
    if (events.empty() || events.back()->position >= floor) place = std::max(place, floor);
    co_return result<void>{};
}

} // namespace netbuild::feed
