// Hands an error on to the caller, so that the straight path stays readable.
#pragma once

#include "puna/error.h"

#define PUNA_CONCAT_IMPL(a, b) a##b
#define PUNA_CONCAT(a, b) PUNA_CONCAT_IMPL(a, b)

/// `PUNA_TRY(auto file, open(path));` declares `file`, or returns the error of `open`.
#define PUNA_TRY(declaration, expression) PUNA_TRY_IMPL(PUNA_CONCAT(puna_try_, __LINE__), declaration, expression)
#define PUNA_TRY_IMPL(result, declaration, expression)  \
    auto result = (expression);                         \
    if (!result.ok()) return std::move(result).error(); \
    declaration = std::move(result).value()

/// `PUNA_CHECK(flush());` returns the error of a call that yields no value.
#define PUNA_CHECK(expression)                                                                      \
    do {                                                                                            \
        if (auto puna_check = (expression); !puna_check.ok()) return std::move(puna_check).error(); \
    } while (false)
