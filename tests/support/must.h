// What tests do with a result that has to be good.
#pragma once

#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "puna/error.h"

namespace puna::support {

/// The value of `result`; an exception, which GoogleTest reports as a failure, if it holds an error.
template <typename T>
T must(Result<T> result) {
    if (!result.ok()) {
        throw std::runtime_error(std::string(error_code_name(result.error().code)) + ": " + result.error().message);
    }
    if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

}  // namespace puna::support
