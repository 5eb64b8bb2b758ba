// SPDX-License-Identifier: Apache-2.0
#include "http/access.hpp"

namespace netbuild::http {

// clang-format off
constexpr Rule table[] = {
    // method  path                                     who          least         the domain is that of
    {"GET",    "/healthz",                              Who::anyone},
    {"GET",    "/readyz",                               Who::anyone},
    {"GET",    "/openapi.json",                         Who::anyone},
    {"GET",    "/metrics",                              Who::token,  Role::viewer, Domain::installation},
    {"GET",    "/v1/sync",                              Who::token,  Role::viewer, Domain::installation},

    {"GET",    "/v1/executions",                        Who::token,  Role::viewer, Domain::list},
    {"POST",   "/v1/executions:batchGet",               Who::token,  Role::viewer, Domain::list},
    {"GET",    "/v1/executions/{executionId}",          Who::token,  Role::viewer, Domain::list},
    {"GET",    "/v1/executions/{executionId}/timeline", Who::token,  Role::viewer, Domain::list},
    {"GET",    "/v1/tasks",                             Who::token,  Role::viewer, Domain::list},
    {"GET",    "/v1/definitions",                       Who::token,  Role::viewer, Domain::list},
    {"GET",    "/v1/definitions/{definitionId}",        Who::token,  Role::viewer, Domain::list},
    {"GET",    "/v1/events",                            Who::token,  Role::viewer, Domain::list},

    {"POST",   "/v1/auth/login",                        Who::anyone},
    {"POST",   "/v1/auth/refresh",                      Who::anyone},
    {"POST",   "/v1/auth/logout",                       Who::token},
    {"GET",    "/v1/auth/sessions",                     Who::token},
    {"DELETE", "/v1/auth/sessions/{sessionId}",         Who::token},
    {"POST",   "/v1/auth/password",                     Who::token},
    {"POST",   "/v1/auth/password/reset",               Who::anyone},
    {"GET",    "/v1/auth/me",                           Who::token},
    {"GET",    "/.well-known/jwks.json",                Who::anyone},

    {"GET",    "/v1/domains",                           Who::token,  Role::viewer, Domain::list},
    {"GET",    "/v1/domains/{domainId}",                Who::token,  Role::viewer, Domain::object},
    {"PUT",    "/v1/domains/{domainId}",                Who::token,  Role::admin,  Domain::object},
    {"GET",    "/v1/domains/{domainId}/versions",       Who::token,  Role::viewer, Domain::object},
    {"GET",    "/v1/domains/{domainId}/users",          Who::token,  Role::admin,  Domain::object},
    // No role above one's own is given or taken, nor one's own.
    {"PUT",    "/v1/domains/{domainId}/users/{userId}", Who::token,  Role::admin,  Domain::object},
    {"DELETE", "/v1/domains/{domainId}/users/{userId}", Who::token,  Role::admin,  Domain::object},
    {"GET",    "/v1/domains/{domainId}/api-keys",       Who::token,  Role::admin,  Domain::object},
    {"POST",   "/v1/domains/{domainId}/api-keys",       Who::token,  Role::admin,  Domain::object},
    {"DELETE", "/v1/domains/{domainId}/api-keys/{keyId}",
                                                        Who::token,  Role::admin,  Domain::object},
    {"GET",    "/v1/domains/{domainId}/audit",          Who::token,  Role::admin,  Domain::object},

    // What operators see of Socket.IO.
    {"GET",    "/v1/realtime/sockets",                  Who::token,  Role::admin,  Domain::installation},
    {"GET",    "/v1/realtime/rooms",                    Who::token,  Role::admin,  Domain::installation},
    {"DELETE", "/v1/realtime/sockets/{socketId}",       Who::token,  Role::admin,  Domain::installation},

    // Limits of other services; a block also of ours.
    {"POST",   "/v1/ratelimit:check",                   Who::token,  Role::service, Domain::installation},
    {"POST",   "/v1/ratelimit:peek",                    Who::token,  Role::service, Domain::installation},
    {"POST",   "/v1/ratelimit:penalize",                Who::token,  Role::service, Domain::installation},
    {"POST",   "/v1/ratelimit:block",                   Who::token,  Role::admin,  Domain::installation},
    {"POST",   "/v1/ratelimit:unblock",                 Who::token,  Role::admin,  Domain::installation},
    // Sessions of other services' users: for services that are trusted with all of them.
    {"POST",   "/v1/sessions",                          Who::token,  Role::service, Domain::installation},
    {"GET",    "/v1/sessions",                          Who::token,  Role::service, Domain::installation},
    {"DELETE", "/v1/sessions",                          Who::token,  Role::service, Domain::installation},
    {"GET",    "/v1/sessions/{sessionId}",              Who::token,  Role::service, Domain::installation},
    {"PATCH",  "/v1/sessions/{sessionId}",              Who::token,  Role::service, Domain::installation},
    {"DELETE", "/v1/sessions/{sessionId}",              Who::token,  Role::service, Domain::installation},
    {"POST",   "/v1/sessions/{sessionId}/rotate",       Who::token,  Role::service, Domain::installation},
    // Jobs belong to no domain: a service of the whole installation adds them and works them off.
    {"GET",    "/v1/queues",                            Who::token,  Role::service, Domain::installation},
    {"GET",    "/v1/queues/{queue}",                    Who::token,  Role::service, Domain::installation},
    {"POST",   "/v1/queues/{queue}/jobs",               Who::token,  Role::service, Domain::installation},
    {"GET",    "/v1/queues/{queue}/jobs",               Who::token,  Role::service, Domain::installation},
    {"GET",    "/v1/queues/{queue}/jobs/{jobId}",       Who::token,  Role::service, Domain::installation},
    {"DELETE", "/v1/queues/{queue}/jobs/{jobId}",       Who::token,  Role::service, Domain::installation},
    {"POST",   "/v1/queues/{queue}:claim",              Who::token,  Role::service, Domain::installation},
    {"POST",   "/v1/queues/{queue}/jobs/{jobId}:complete", Who::token, Role::service, Domain::installation},
    {"POST",   "/v1/queues/{queue}/jobs/{jobId}:fail",  Who::token,  Role::service, Domain::installation},
    {"POST",   "/v1/queues/{queue}/jobs/{jobId}:heartbeat", Who::token, Role::service, Domain::installation},
    {"POST",   "/v1/queues/{queue}:pause",              Who::token,  Role::admin,  Domain::installation},
    {"POST",   "/v1/queues/{queue}:resume",             Who::token,  Role::admin,  Domain::installation},
    {"POST",   "/v1/queues/{queue}:drain",              Who::token,  Role::admin,  Domain::installation},
    {"POST",   "/v1/queues/{queue}:retry",              Who::token,  Role::admin,  Domain::installation},

    {"POST",   "/v1/payments",                          Who::token,  Role::member, Domain::object},
    {"GET",    "/v1/payments",                          Who::token,  Role::viewer, Domain::list},
    {"GET",    "/v1/payments/{paymentId}",              Who::token,  Role::viewer, Domain::object},
    {"GET",    "/v1/payments/{paymentId}/events",       Who::token,  Role::viewer, Domain::object},
    {"POST",   "/v1/payments/{paymentId}/authorize",    Who::token,  Role::member, Domain::object},
    {"POST",   "/v1/payments/{paymentId}/capture",      Who::token,  Role::member, Domain::object},
    {"POST",   "/v1/payments/{paymentId}/refund",       Who::token,  Role::member, Domain::object},
    {"POST",   "/v1/payments/{paymentId}/fail",         Who::token,  Role::member, Domain::object},
    {"POST",   "/v1/payments/{paymentId}/cancel",       Who::token,  Role::member, Domain::object},

    {"POST",   "/v1/tasks/{taskId}/snapshots",          Who::token,  Role::member, Domain::object},
    {"GET",    "/v1/snapshots",                         Who::token,  Role::viewer, Domain::list},
    {"GET",    "/v1/snapshots/{snapshotId}",            Who::token,  Role::viewer, Domain::object},
    {"POST",   "/v1/conversations",                     Who::token,  Role::member, Domain::object},
    {"GET",    "/v1/conversations",                     Who::token,  Role::viewer, Domain::list},
    {"GET",    "/v1/conversations/{conversationId}",    Who::token,  Role::viewer, Domain::object},
    {"PUT",    "/v1/conversations/{conversationId}",    Who::token,  Role::member, Domain::object},
    {"POST",   "/v1/conversations/{conversationId}/messages",
                                                        Who::token,  Role::member, Domain::object},
    {"GET",    "/v1/conversations/{conversationId}/messages",
                                                        Who::token,  Role::viewer, Domain::object},
    {"GET",    "/v1/conversations/{conversationId}/messages/{messageId}",
                                                        Who::token,  Role::viewer, Domain::object},
    // Of a message: its author's and admins'.
    {"PUT",    "/v1/conversations/{conversationId}/messages/{messageId}",
                                                        Who::token,  Role::member, Domain::object},
    {"DELETE", "/v1/conversations/{conversationId}/messages/{messageId}",
                                                        Who::token,  Role::member, Domain::object},
    // What was deleted is in it.
    {"GET",    "/v1/conversations/{conversationId}/messages/{messageId}/history",
                                                        Who::token,  Role::admin,  Domain::object},
    {"GET",    "/v1/messages",                          Who::token,  Role::viewer, Domain::list},
    {"GET",    "/v1/conversations/{conversationId}/ai-context",
                                                        Who::token,  Role::viewer, Domain::object},
    {"PUT",    "/v1/conversations/{conversationId}/ai-context",
                                                        Who::token,  Role::member, Domain::object},
    {"GET",    "/v1/domains/{domainId}/executions/{executionId}/ai-context",
                                                        Who::token,  Role::viewer, Domain::object},
    {"PUT",    "/v1/domains/{domainId}/executions/{executionId}/ai-context",
                                                        Who::token,  Role::member, Domain::object},
    {"POST",   "/v1/embeddings/indexes",                Who::token,  Role::member, Domain::object},
    {"GET",    "/v1/embeddings/indexes",                Who::token,  Role::viewer, Domain::list},
    {"GET",    "/v1/embeddings/indexes/{indexId}",      Who::token,  Role::viewer, Domain::object},
    {"DELETE", "/v1/embeddings/indexes/{indexId}",      Who::token,  Role::admin,  Domain::object},
    {"POST",   "/v1/embeddings/indexes/{indexId}/rebuild", Who::token, Role::admin, Domain::object},
    {"POST",   "/v1/embeddings/indexes/{indexId}/vectors", Who::token, Role::member, Domain::object},
    {"GET",    "/v1/embeddings/indexes/{indexId}/vectors", Who::token, Role::viewer, Domain::object},
    {"GET",    "/v1/embeddings/indexes/{indexId}/vectors/{vectorId}", Who::token, Role::viewer, Domain::object},
    {"DELETE", "/v1/embeddings/indexes/{indexId}/vectors/{vectorId}", Who::token, Role::member, Domain::object},
    {"POST",   "/v1/embeddings/indexes/{indexId}/remove", Who::token, Role::member, Domain::object},
    {"POST",   "/v1/embeddings/indexes/{indexId}/search", Who::token, Role::viewer, Domain::object},
};
// clang-format on

std::span<const Rule> rules() noexcept { return table; }

} // namespace netbuild::http
