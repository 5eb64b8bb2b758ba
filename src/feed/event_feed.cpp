// SPDX-License-Identifier: Apache-2.0
#include "feed/event_feed.hpp"

#include "base/position_header.hpp"
#include "ports/stored_events.hpp"
#include "telemetry/log.hpp"
#include "wire/json.hpp"

namespace netbuild::feed {
namespace {

/// A stream that dropped what was not read yet is full of newer events: so is a page of it. It
/// keeps more than a page, whatever its limit.
constexpr std::size_t page = 100, archive_page = 200;
/// A waiting reader of a stream looks up this often, so that a lost connection is noticed.
constexpr std::chrono::seconds read_wait{5};
constexpr std::chrono::milliseconds retry_interval{200};

} // namespace

EventFeed::EventFeed(Ports ports, EventRing::Limits limits)
    : ports_(std::move(ports)), ring_(limits), changed_(ports_.executor) {
    begun_[static_cast<std::size_t>(Source::documents)] = !ports_.documents;
}

std::string EventFeed::text(const Place& place) const {
    return ports_.documents ? to_string(place) : position_header(place.engine);
}

awaitable<result<void>> EventFeed::started(Clock::duration wait) {
    const Deadline deadline(ports_.clock, wait);
    while (!begun_[0] || !begun_[1]) {
        if (deadline.passed(ports_.clock))
            co_return fail(ErrorCode::deadline_exceeded, "the event stream is not there");
        CO_TRY_VOID(co_await changed_.wait_for(ports_.clock, deadline.left(ports_.clock)));
    }
    co_return result<void>{};
}

awaitable<result<void>> EventFeed::follow(Source source) {
    bool& doubtful = doubtful_[static_cast<std::size_t>(source)];
    while (true) {
        auto done = co_await step(source);
        if (done) {
            if (std::exchange(doubtful, false))
                log::info("events of {} are followed again", source_name(source));
            continue;
        }
        if (done.error().error_class() == ErrorClass::cancelled) co_return done;
        if (!std::exchange(doubtful, true))
            log::warning("events of {} wait: {}", source_name(source), done.error().message());
        CO_TRY_VOID(co_await ports_.clock.sleep(retry_interval));
    }
}

awaitable<result<void>> EventFeed::step(Source source) {
    const auto index = static_cast<std::size_t>(source);
    if (!begun_[index]) {
        CO_TRY(const Position last, co_await bus(source)->last());
        place_.of(source) = last;
        ring_.begin(source, last);
        begun_[index] = true;
        changed_.notify_all();
    }
    CO_TRY(const auto events, co_await bus(source)->read(place_.of(source), page, read_wait));
    if (doubtful_[index] || events.size() == page) CO_TRY_VOID(co_await catch_up(source));
    for (const auto& event : events)
        if (event->position > place_.of(source)) add(source, event);
    if (!events.empty()) changed_.notify_all();
    co_return result<void>{};
}

/// What the stream does not have any more since the place, from the store.
awaitable<result<void>> EventFeed::catch_up(Source source) {
    while (true) {
        Position& place = place_.of(source);
        CO_TRY(const Position first, co_await bus(source)->first());
        if (first.is_zero() || place.number + 1 >= first.number) co_return result<void>{};
        const Position upto{first.number - 1, Position::last_ordinal};
        if (source == Source::documents) {
            if (place.is_zero()) co_return result<void>{}; // it was empty, so nothing is lost
            add(source, gap_event(place, upto, "retention"));
            continue;
        }
        CO_TRY(const auto events, co_await ports_.archive.after(place, archive_page));
        bool any = false;
        for (const auto& event : events) {
            if (event->position <= place || event->position >= first) continue;
            add(source, event);
            any = true;
        }
        if (!any) {
            CO_TRY(const Position removed, co_await ports_.archive.removed_upto());
            if (removed > place) add(source, gap_event(place, upto, "retention"));
            co_return result<void>{};
        }
        changed_.notify_all();
    }
}

void EventFeed::add(Source source, StreamEventPtr event) {
    if (place_.of(source).is_zero()) {
        // The stream was empty, and may have been filled with only the newest of the store's.
        auto [number, ordinal] = event->position;
        ring_.begin(source, ordinal > 0 ? Position{number, ordinal - 1}
                                        : Position{number - 1, Position::last_ordinal});
    }
    place_.of(source) = event->position;
    auto payload = parse_json(event->payload);
    if (!payload) {
        log::error("event {} of {} is unreadable: {}", netbuild::to_string(event->position),
                   source_name(source), payload.error().message());
        payload = Value(Object{});
    }
    auto added = std::make_shared<FeedEvent>();
    added->rooms = rooms_of(*event, *payload);
    added->event = std::move(event);
    added->source = source;
    added->place = place_;
    ring_.add(added);
    for (const Listener& listener : listeners_)
        listener(*added, *payload);
}

EventFeed::Listening EventFeed::listen(Listener listener) {
    const auto place = listeners_.insert(listeners_.end(), std::move(listener));
    return {&*place, [this, place](const void*) { listeners_.erase(place); }};
}

} // namespace netbuild::feed
