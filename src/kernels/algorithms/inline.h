// Inner loops are made of small templates; left to itself, the compiler keeps some of them as calls, which pass vectors
// through memory at several times the cost of the arithmetic.
#pragma once

#define PUNA_INLINE [[gnu::always_inline]] inline
/// For the body of a lambda: `[&](int j) PUNA_INLINE_LAMBDA { ... }`.
#define PUNA_INLINE_LAMBDA __attribute__((always_inline))
