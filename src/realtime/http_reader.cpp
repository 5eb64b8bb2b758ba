// SPDX-License-Identifier: Apache-2.0
#include "http_reader.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

namespace netbuild::realtime {

namespace http = boost::beast::http;

struct HttpReader::Impl {
    http::request_parser<http::string_body> parser;
    HttpRequest request;
    int status = 400;
    bool head_given = false;

    void take_head() {
        const auto& message = parser.get();
        request.method = message.method_string();
        request.target = message.target();
        request.keep_alive = message.keep_alive();
        for (const auto& field : message) {
            std::string name(field.name_string());
            for (char& c : name)
                if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
            request.headers.emplace_back(std::move(name), field.value());
        }
    }
    State failed(const boost::system::error_code& ec) {
        status = ec == http::error::body_limit ? 413 : ec == http::error::header_limit ? 431 : 400;
        return State::failed;
    }
};

HttpReader::HttpReader(Limits limits) : impl_(std::make_unique<Impl>()) {
    impl_->parser.header_limit(limits.header_bytes_max);
    impl_->parser.body_limit(limits.body_bytes_max);
}
HttpReader::~HttpReader() = default;

HttpReader::State HttpReader::feed(std::string_view bytes, std::size_t& used) {
    auto& parser = impl_->parser;
    used = 0;
    while (!parser.is_done() && used < bytes.size()) {
        boost::system::error_code ec;
        const bool had_head = parser.is_header_done();
        const std::size_t now =
            parser.put(boost::asio::buffer(bytes.data() + used, bytes.size() - used), ec);
        used += now;
        if (ec == http::error::need_more) break;
        if (ec) return impl_->failed(ec);
        if (!had_head && parser.is_header_done()) break;
        if (now == 0) break;
    }
    if (parser.is_header_done() && !impl_->head_given) {
        impl_->head_given = true;
        impl_->take_head();
        return State::head;
    }
    if (!parser.is_done()) return State::need_more;
    impl_->request.body = std::move(parser.get().body());
    return State::complete;
}

HttpRequest& HttpReader::request() { return impl_->request; }
int HttpReader::status() const { return impl_->status; }

} // namespace netbuild::realtime
