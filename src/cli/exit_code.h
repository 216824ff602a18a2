// How a run of the program ends, as the shell sees it. docs/errors.md lists the same.
#pragma once

#include "puna/error.h"

namespace puna::cli {

inline constexpr int exit_ok = 0;
inline constexpr int exit_runtime = 1;
inline constexpr int exit_usage = 2;
inline constexpr int exit_file = 3;
inline constexpr int exit_interrupted = 130;  // 128 + SIGINT, as shells count

constexpr int exit_code(ErrorCode code) {
    switch (code) {
        case ErrorCode::invalid_argument:
        case ErrorCode::unsupported_isa:
        case ErrorCode::unsupported_activations: return exit_usage;
        case ErrorCode::file_not_found:
        case ErrorCode::file_unreadable:
        case ErrorCode::file_malformed:
        case ErrorCode::file_changed:
        case ErrorCode::session_mismatch:
        case ErrorCode::unsupported_format:
        case ErrorCode::unsupported_architecture:
        case ErrorCode::unsupported_tensor_type:
        case ErrorCode::unsupported_tokenizer: return exit_file;
        case ErrorCode::context_overflow:
        case ErrorCode::out_of_memory:
        case ErrorCode::invalid_number:
        case ErrorCode::constraint_failed:
        case ErrorCode::text_too_short:
        case ErrorCode::io_error:
        case ErrorCode::not_yet: return exit_runtime;
        case ErrorCode::cancelled: return exit_interrupted;
    }
    return exit_runtime;
}

}  // namespace puna::cli
