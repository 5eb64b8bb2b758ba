// SPDX-License-Identifier: Apache-2.0
#include "ports/document_store.hpp"

namespace netbuild {
namespace {

class PagedScan final : public DocumentScan {
public:
    PagedScan(DocumentStore& store, std::string_view collection) : store_(store) {
        query_.collection = collection;
        query_.limit = page_documents;
    }
    awaitable<result<std::vector<ValuePtr>>> next() override {
        if (ended_) co_return std::vector<ValuePtr>();
        CO_TRY(auto page, co_await store_.find(query_));
        ended_ = page.size() < page_documents;
        if (!ended_) query_.after = {*page.back()->at_path("_id")};
        co_return page;
    }

private:
    static constexpr std::size_t page_documents = 1000;
    DocumentStore& store_;
    Query query_;
    bool ended_ = false;
};

} // namespace

std::unique_ptr<DocumentScan> DocumentStore::scan(std::string_view collection) {
    return std::make_unique<PagedScan>(*this, collection);
}

} // namespace netbuild
