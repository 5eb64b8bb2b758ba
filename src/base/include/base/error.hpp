// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

#include "base/error_code.hpp" // generated from errors.yaml

namespace netbuild {

/// What went wrong: a code of errors.yaml and the particulars for a human ("connect to
/// 127.0.0.1:5432: refused"). Particulars never hold secrets or row values.
class Error {
public:
    /// `internal`: only for containers that need a default.
    Error() = default;
    Error(ErrorCode code, std::string detail = {}) : code_(code), detail_(std::move(detail)) {}

    [[nodiscard]] ErrorCode code() const noexcept { return code_; }
    [[nodiscard]] ErrorClass error_class() const noexcept { return error_class_of(code_); }
    [[nodiscard]] const std::string& detail() const noexcept { return detail_; }

    /// The table's sentence, then the particulars.
    [[nodiscard]] std::string message() const {
        std::string text(message_of(code_));
        if (!detail_.empty()) {
            text += ": ";
            text += detail_;
        }
        return text;
    }

    /// The same error seen from further out: "COPY act_hi_procinst: <detail>".
    [[nodiscard]] Error within(std::string_view context) && {
        detail_.insert(0, detail_.empty() ? std::string(context) : std::string(context) + ": ");
        return std::move(*this);
    }

    /// Worth another try without any change by a human.
    [[nodiscard]] bool transient() const noexcept { return error_class() == ErrorClass::transient; }

private:
    ErrorCode code_ = ErrorCode::internal;
    std::string detail_;
};

} // namespace netbuild
