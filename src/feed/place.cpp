// SPDX-License-Identifier: Apache-2.0
#include "feed/place.hpp"

#include "base/position_header.hpp"

namespace netbuild::feed {

std::string_view source_name(Source source) noexcept {
    return source == Source::engine ? "engine" : "documents";
}

std::string to_string(const Place& place) { return position_header(place.engine, place.documents); }

result<Place> parse_place(std::string_view text, Position otherwise) {
    Place place;
    TRY(place.engine, parse_position_header(text));
    TRY(const auto documents, parse_documents_position(text));
    place.documents = documents.value_or(otherwise);
    return place;
}

} // namespace netbuild::feed
