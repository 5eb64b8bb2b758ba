// SPDX-License-Identifier: Apache-2.0
#pragma once
// Who may sign in, and what says so: the collections of identity/.
#include "ports/collection.hpp"

namespace netbuild::data {

inline constexpr std::string_view user_statuses = "active|disabled|erasing|erased";
inline constexpr std::string_view roles = "owner|admin|member|viewer|service";

inline constexpr Field user_fields[] = {
    {.name = "email", .size_max = 320, .help = "as it was typed; an erased user has none"},
    {.name = "emailKey", .server = true, .help = "in lower case"},
    {.name = "name", .size_max = 200},
    {.name = "status", .required = true, .server = true, .choices = user_statuses},
    {.name = "passwordHash", .server = true, .help = "argon2id in PHC form"},
    {.name = "createdAt", .type = FieldType::date, .required = true, .server = true},
    {.name = "passwordChangedAt", .type = FieldType::date, .server = true},
    {.name = "pseudonym", .server = true, .help = "while an erasure is under way, and no longer"},
    {.name = "erasedAt", .type = FieldType::date, .server = true},
};
inline constexpr RecordIndex user_indexes[] = {
    {.fields = {"emailKey"}, .unique = true, .reason = "sign-in; an address has one user"},
    {.fields = {"createdAt"}, .reason = "the list of users"},
};
inline constexpr Collection users{.name = "users",
                                  .holds = "a person or a service that may sign in",
                                  .fields = user_fields,
                                  .indexes = user_indexes,
                                  .shared = true};

inline constexpr Field membership_fields[] = {
    {.name = "userId", .required = true},
    {.name = "domainId", .required = true, .help = "* for every domain"},
    {.name = "role", .required = true, .choices = roles},
};
inline constexpr RecordIndex membership_indexes[] = {
    {.fields = {"userId", "domainId"}, .unique = true, .reason = "one role a user and domain"},
    {.fields = {"domainId"}, .reason = "a domain's members"},
};
inline constexpr Collection memberships{.name = "memberships",
                                        .holds = "a user's role in a domain",
                                        .fields = membership_fields,
                                        .indexes = membership_indexes};

inline constexpr Field session_fields[] = {
    {.name = "userId", .required = true},
    {.name = "createdAt", .type = FieldType::date, .required = true},
    {.name = "usedAt", .type = FieldType::date, .required = true},
    {.name = "expiresAt", .type = FieldType::date, .required = true},
    {.name = "revokedAt", .type = FieldType::date},
    {.name = "revokedBecause"},
    {.name = "client", .size_max = 300, .help = "the User-Agent of the sign-in"},
};
inline constexpr RecordIndex session_indexes[] = {
    {.fields = {"userId", "createdAt"}, .reason = "a user's sessions"},
    {.fields = {"expiresAt"}, .reason = "removal of what has expired"},
};
inline constexpr Collection sessions{.name = "sessions",
                                     .holds = "a sign-in, with the family of its refresh tokens",
                                     .fields = session_fields,
                                     .indexes = session_indexes,
                                     .expires = "expiresAt"};

inline constexpr Field refresh_token_fields[] = {
    {.name = "sessionId", .required = true},
    {.name = "usedAt", .type = FieldType::date, .help = "presented again: the family is revoked"},
    {.name = "expiresAt", .type = FieldType::date, .required = true},
};
inline constexpr RecordIndex refresh_token_indexes[] = {
    {.fields = {"expiresAt"}, .reason = "removal of what has expired"},
};
/// `_id` is the SHA-256 of the token.
inline constexpr Collection refresh_tokens{.name = "refresh_tokens",
                                           .holds = "a refresh token, good for one use",
                                           .fields = refresh_token_fields,
                                           .indexes = refresh_token_indexes,
                                           .expires = "expiresAt"};

inline constexpr Field reset_token_fields[] = {
    {.name = "userId", .required = true},
    {.name = "expiresAt", .type = FieldType::date, .required = true},
};
inline constexpr RecordIndex reset_token_indexes[] = {
    {.fields = {"expiresAt"}, .reason = "removal of what has expired"},
};
/// `_id` is the SHA-256 of the token.
inline constexpr Collection reset_tokens{.name = "reset_tokens",
                                         .holds = "a leave to set a password, good for one use",
                                         .fields = reset_token_fields,
                                         .indexes = reset_token_indexes,
                                         .expires = "expiresAt"};

inline constexpr Field api_key_fields[] = {
    {.name = "name", .required = true, .size_max = 200},
    {.name = "domainId", .required = true},
    {.name = "role", .required = true, .choices = roles},
    {.name = "secretHash", .required = true, .server = true, .help = "SHA-256"},
    {.name = "createdBy", .required = true, .server = true},
    {.name = "createdAt", .type = FieldType::date, .required = true, .server = true},
    {.name = "revokedAt", .type = FieldType::date, .server = true},
};
inline constexpr RecordIndex api_key_indexes[] = {
    {.fields = {"domainId", "createdAt"}, .reason = "a domain's keys"},
};
inline constexpr Collection api_keys{.name = "api_keys",
                                     .holds = "a service's key",
                                     .fields = api_key_fields,
                                     .indexes = api_key_indexes};

inline constexpr Field attempt_fields[] = {
    {.name = "failures", .type = FieldType::integer, .required = true},
    {.name = "lockedUntil", .type = FieldType::date, .required = true},
    {.name = "expiresAt", .type = FieldType::date, .required = true},
};
inline constexpr RecordIndex attempt_indexes[] = {
    {.fields = {"expiresAt"}, .reason = "removal of what has expired"},
};
/// `_id` is the SHA-256 of the address: it is kept whether there is such a user or not.
inline constexpr Collection sign_in_attempts{.name = "sign_in_attempts",
                                             .holds = "the failed sign-ins of an address",
                                             .fields = attempt_fields,
                                             .indexes = attempt_indexes,
                                             .expires = "expiresAt"};

inline constexpr Field signing_key_fields[] = {
    {.name = "privateKey", .required = true, .help = "PKCS #8, PEM"},
    {.name = "createdAt", .type = FieldType::date, .required = true},
};
inline constexpr RecordIndex signing_key_indexes[] = {
    {.fields = {"createdAt"}, .reason = "the newest one signs"},
};
/// `_id` is the `kid` of tokens.
inline constexpr Collection signing_keys{.name = "signing_keys",
                                         .holds = "a key that access tokens are signed with",
                                         .fields = signing_key_fields,
                                         .indexes = signing_key_indexes};

inline constexpr Field audit_fields[] = {
    {.name = "at", .type = FieldType::date, .required = true},
    {.name = "actor", .required = true, .help = "a user's id, an API key's, or the shell"},
    {.name = "action", .required = true, .help = "sign_in, user.disable, domain.replace …"},
    {.name = "outcome", .required = true, .choices = "done|refused"},
    {.name = "target"},
    {.name = "domainId"},
    {.name = "detail", .size_max = 1000, .help = "never a secret"},
};
inline constexpr RecordIndex audit_indexes[] = {
    {.fields = {"at"}, .reason = "the trail, newest first"},
    {.fields = {"domainId", "at"}, .reason = "a domain's trail"},
    {.fields = {"actor", "at"}, .reason = "what somebody did"},
};
inline constexpr Collection audit{.name = "audit",
                                  .holds = "what was done to users, roles, keys and domains",
                                  .fields = audit_fields,
                                  .indexes = audit_indexes,
                                  .append_only = true};

} // namespace netbuild::data
