// SPDX-License-Identifier: Apache-2.0
#include "model/transaction.hpp"

#include <cstring>

namespace netbuild {

std::string_view TextArena::keep(std::string_view text) {
    if (text.empty()) return {};
    bytes_ += text.size();
    if (text.size() > chunk_bytes / 4) { // its own chunk, kept behind the current one
        auto chunk = std::make_unique_for_overwrite<char[]>(text.size());
        std::memcpy(chunk.get(), text.data(), text.size());
        const std::string_view kept(chunk.get(), text.size());
        chunks_.insert(chunks_.empty() ? chunks_.end() : chunks_.end() - 1, std::move(chunk));
        return kept;
    }
    if (chunks_.empty() || chunk_bytes - used_ < text.size()) {
        chunks_.push_back(std::make_unique_for_overwrite<char[]>(chunk_bytes));
        used_ = 0;
    }
    char* place = chunks_.back().get() + used_;
    std::memcpy(place, text.data(), text.size());
    used_ += text.size();
    return {place, text.size()};
}

void TextArena::clear() noexcept {
    chunks_.clear();
    used_ = chunk_bytes;
    bytes_ = 0;
}

void Transaction::add(camunda::Table table, RowOperation operation, std::span<const Cell> cells) {
    const std::size_t first = cells_.size();
    add_kept(table, operation, cells);
    for (std::size_t index = first; index < cells_.size(); ++index) {
        cells_[index].text = arena_.keep(cells_[index].text);
    }
}

void Transaction::add_kept(camunda::Table table, RowOperation operation,
                           std::span<const Cell> cells) {
    const std::size_t columns = camunda::info(table).columns.size();
    rows_.push_back({table, operation, static_cast<std::uint32_t>(cells_.size())});
    const auto given = cells.first(std::min(cells.size(), columns));
    cells_.insert(cells_.end(), given.begin(), given.end());
    cells_.resize(cells_.size() + (columns - given.size()));
}

} // namespace netbuild
