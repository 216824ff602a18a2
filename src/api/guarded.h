// The border of the library: no exception crosses it.
#pragma once

#include <new>
#include <system_error>
#include <utility>

#include "puna/error.h"

namespace puna::api {

/// Calls `function`, which returns a Result, and turns the two exceptions that the standard library may throw for want
/// of resources into errors. Each is `out_of_memory`: memory, threads and locks all come from it.
template <typename Function>
auto guarded(Function&& function) -> decltype(function()) {
    try {
        return std::forward<Function>(function)();
    } catch (const std::bad_alloc&) {
        return Error{ErrorCode::out_of_memory, "out of memory", ""};
    } catch (const std::system_error&) {
        return Error{ErrorCode::out_of_memory, "the system gives no more threads or locks",
                     "end other processes, or raise its limits"};
    }
}

}  // namespace puna::api
