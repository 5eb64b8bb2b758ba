// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <utility>

#include "http/call.hpp"
#include "ports/record_store.hpp"

namespace netbuild::http {

/// A list's answer, {items, nextCursor}: each record as `shown` has it.
template <class Shown>
Reply page_reply(const RecordPage& page, Shown shown) {
    Array items;
    items.reserve(page.items.size());
    for (const ValuePtr& record : page.items)
        items.emplace_back(shown(*record));
    return {.body = Object{{"items", std::move(items)},
                           {"nextCursor", page.next.empty() ? Value() : Value(page.next)}}};
}

} // namespace netbuild::http
