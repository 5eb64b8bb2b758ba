// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include <mongoc/mongoc.h>

#include "wire/bson.hpp"

namespace netbuild::mongo {

template <auto function>
struct Deleter {
    template <class T>
    void operator()(T* handle) const noexcept {
        function(handle);
    }
};
using UriPtr = std::unique_ptr<mongoc_uri_t, Deleter<mongoc_uri_destroy>>;
using PoolPtr = std::unique_ptr<mongoc_client_pool_t, Deleter<mongoc_client_pool_destroy>>;
using CollectionPtr = std::unique_ptr<mongoc_collection_t, Deleter<mongoc_collection_destroy>>;
using CursorPtr = std::unique_ptr<mongoc_cursor_t, Deleter<mongoc_cursor_destroy>>;
using BulkPtr = std::unique_ptr<mongoc_bulk_operation_t, Deleter<mongoc_bulk_operation_destroy>>;
using FindAndModifyPtr =
    std::unique_ptr<mongoc_find_and_modify_opts_t, Deleter<mongoc_find_and_modify_opts_destroy>>;
using SessionPtr = std::unique_ptr<mongoc_client_session_t, Deleter<mongoc_client_session_destroy>>;

/// A document that libbson reads in place.
class Bson {
public:
    explicit Bson(const Object& object) : bytes_(encode_bson(object)) {
        bson_init_static(&view_, reinterpret_cast<const std::uint8_t*>(bytes_.data()),
                         bytes_.size());
    }
    Bson(const Bson&) = delete;
    [[nodiscard]] const bson_t* get() const noexcept { return &view_; }

private:
    std::string bytes_;
    bson_t view_;
};

/// An answer that libmongoc fills in.
class Reply {
public:
    Reply() { bson_init(&reply_); }
    ~Reply() { bson_destroy(&reply_); }
    Reply(const Reply&) = delete;
    /// libmongoc initialises it itself.
    [[nodiscard]] bson_t* out() {
        bson_destroy(&reply_);
        return &reply_;
    }
    [[nodiscard]] const bson_t* get() const noexcept { return &reply_; }
    /// By its dotted path; 0 where there is none.
    [[nodiscard]] std::int64_t integer(const char* key) const {
        bson_iter_t iterator, found;
        return bson_iter_init(&iterator, &reply_) &&
                       bson_iter_find_descendant(&iterator, key, &found)
                   ? bson_iter_as_int64(&found)
                   : 0;
    }
    [[nodiscard]] result<Object> document() const {
        return decode_bson({reinterpret_cast<const char*>(bson_get_data(&reply_)), reply_.len});
    }
    /// True if the server refused some of a bulk's writes, all of those with `code`, and nothing
    /// else went wrong.
    [[nodiscard]] bool only_write_errors_of(int code) const {
        std::size_t found = 0;
        bson_iter_t iterator, element;
        if (bson_iter_init_find(&iterator, &reply_, "writeErrors") &&
            bson_iter_recurse(&iterator, &element)) {
            for (; bson_iter_next(&element); ++found) {
                bson_iter_t member;
                if (!bson_iter_recurse(&element, &member) || !bson_iter_find(&member, "code") ||
                    bson_iter_as_int64(&member) != code)
                    return false;
            }
        }
        return found > 0 && !bson_iter_init_find(&iterator, &reply_, "writeConcernErrors");
    }
    [[nodiscard]] bool has_label(const char* label) const {
        return mongoc_error_has_label(&reply_, label);
    }

private:
    bson_t reply_;
};

} // namespace netbuild::mongo
