// SPDX-License-Identifier: Apache-2.0
// libFuzzer target: whatever a channel or a stream brings, it is a message that can be written
// again, or it is refused as `corrupt`. The first byte says how it is read.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "wire/cluster_codec.hpp"
#include "wire/redis_adapter_codec.hpp"
#include "wire/resp.hpp"

namespace {

using namespace netbuild;
using namespace netbuild::socketio;

result<ClusterMessage> read(std::uint8_t how, const std::string& bytes) {
    switch (how % 5) {
    case 0:
        return decode_cluster_message(bytes);
    case 1:
        return decode_redis_broadcast(bytes);
    case 2:
        return decode_redis_request(bytes);
    case 3:
        return decode_redis_answer(bytes);
    default:
        return decode_stream_entry({{"uid", "u"}, {"nsp", "/"}, {"type", "3"}, {"data", bytes}});
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    resp::Parser parser;
    parser.feed(bytes);
    while (true) {
        const auto reply = parser.next();
        if (!reply || !*reply) break;
    }
    (void)decode_session(bytes);
    const auto message = read(data[0], bytes);
    if (!message) {
        if (message.error().code() != ErrorCode::corrupt) std::abort();
        return 0;
    }
    const auto written = data[0] % 5 == 0 || data[0] % 5 == 4
                             ? encode_cluster_message(*message, ClusterForm::msgpack)
                             : encode_redis_message(*message);
    if (!written && written.error().code() != ErrorCode::payload_too_large) std::abort();
    return 0;
}
