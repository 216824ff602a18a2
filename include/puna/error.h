// Errors and results: how every fallible call in puna answers.
//
// Depends on the standard library alone, and is used by every room of the house.
#pragma once

#include <cassert>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace puna {

/// What went wrong, in a form that programs may rely on. The names that `error_code_name` gives are stable and listed
/// in docs/errors.md.
enum class ErrorCode {
    // The caller asked for something that cannot be (exit code 2 of the command line).
    invalid_argument,         ///< a parameter out of its range, or two that contradict each other
    unsupported_isa,          ///< a kernel set that this CPU lacks or this build does not hold
    unsupported_activations,  ///< an activation type that the chosen kernel set lacks
    // A file is not what it should be (exit code 3).
    file_not_found,
    file_unreadable,           ///< permissions, a folder, an I/O error on reading
    file_malformed,            ///< the message names field and offset
    file_changed,              ///< shrank or vanished while it was mapped
    session_mismatch,          ///< a session of another model, KV type or numeric law; the message says which
    unsupported_format,        ///< not a format that this build reads
    unsupported_architecture,  ///< a model family that this build does not run
    unsupported_tensor_type,   ///< a tensor type that this build does not compute
    unsupported_tokenizer,     ///< a tokenizer or pre-tokenizer that this build does not know
    // Something failed while running (exit code 1).
    context_overflow,  ///< the tokens do not fit into the context
    out_of_memory,
    invalid_number,     ///< NaN or infinity where a finite number must be
    constraint_failed,  ///< the vocabulary cannot express what a constraint asks, or following it took too much
    text_too_short,     ///< not enough text for what was asked
    io_error,           ///< a write, a rename, a sync that failed
    cancelled,          ///< interrupted by its user (exit code 130)
    not_yet,            ///< planned, and not in this version
};

/// The stable snake_case name of `code`.
constexpr std::string_view error_code_name(ErrorCode code) {
    switch (code) {
        case ErrorCode::invalid_argument: return "invalid_argument";
        case ErrorCode::unsupported_isa: return "unsupported_isa";
        case ErrorCode::unsupported_activations: return "unsupported_activations";
        case ErrorCode::file_not_found: return "file_not_found";
        case ErrorCode::file_unreadable: return "file_unreadable";
        case ErrorCode::file_malformed: return "file_malformed";
        case ErrorCode::file_changed: return "file_changed";
        case ErrorCode::session_mismatch: return "session_mismatch";
        case ErrorCode::unsupported_format: return "unsupported_format";
        case ErrorCode::unsupported_architecture: return "unsupported_architecture";
        case ErrorCode::unsupported_tensor_type: return "unsupported_tensor_type";
        case ErrorCode::unsupported_tokenizer: return "unsupported_tokenizer";
        case ErrorCode::context_overflow: return "context_overflow";
        case ErrorCode::out_of_memory: return "out_of_memory";
        case ErrorCode::invalid_number: return "invalid_number";
        case ErrorCode::constraint_failed: return "constraint_failed";
        case ErrorCode::text_too_short: return "text_too_short";
        case ErrorCode::io_error: return "io_error";
        case ErrorCode::cancelled: return "cancelled";
        case ErrorCode::not_yet: return "not_yet";
    }
    return "unknown";
}

/// What went wrong, where, and what to do about it.
struct Error {
    ErrorCode code = ErrorCode::invalid_argument;
    std::string message;  ///< one sentence: what and where
    std::string hint;     ///< what to do; may be empty
};

/// A value, or the error that stands in its place. Reading the wrong one is a programmer's mistake (an assertion).
template <typename T>
class [[nodiscard]] Result {
  public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    bool ok() const { return state_.index() == 0; }
    explicit operator bool() const { return ok(); }

    T& value() & { return assert(ok()), *std::get_if<0>(&state_); }
    const T& value() const& { return assert(ok()), *std::get_if<0>(&state_); }
    T&& value() && { return assert(ok()), std::move(*std::get_if<0>(&state_)); }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }

    const Error& error() const& { return assert(!ok()), *std::get_if<1>(&state_); }
    Error&& error() && { return assert(!ok()), std::move(*std::get_if<1>(&state_)); }

  private:
    std::variant<T, Error> state_;
};

/// Success without a value, or an error.
template <>
class [[nodiscard]] Result<void> {
  public:
    Result() = default;
    Result(Error error) : failed_(true), error_(std::move(error)) {}

    bool ok() const { return !failed_; }
    explicit operator bool() const { return ok(); }
    const Error& error() const& { return assert(failed_), error_; }
    Error&& error() && { return assert(failed_), std::move(error_); }

  private:
    bool failed_ = false;
    Error error_;
};

}  // namespace puna
