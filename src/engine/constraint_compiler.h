// From a constraint as the caller wrote it to what the requests of one engine use.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>

#include "puna/error.h"
#include "puna/request.h"
#include "text/grammar/token_constraint.h"
#include "text/tokenizer/tokenizer.h"

namespace puna::engine {

struct CompiledConstraint {
    std::shared_ptr<const text::grammar::Grammar> grammar;
    std::shared_ptr<const text::grammar::TokenIndex> index;
};

/// Thread-safe. The index over the vocabulary is made when the first constraint comes, once.
class ConstraintCompiler {
  public:
    /// `tokenizer` must outlive the compiler. `vocabulary`: ids from 0 to this less one may be sampled.
    ConstraintCompiler(const text::Tokenizer& tokenizer, std::size_t vocabulary)
        : tokenizer_(tokenizer), vocabulary_(vocabulary) {}

    /// Errors: invalid_argument, for a source that is malformed, unsupported or too large.
    Result<CompiledConstraint> compile(const Constraint& constraint);

  private:
    const text::Tokenizer& tokenizer_;
    std::size_t vocabulary_;
    std::mutex mutex_;  // guards index_
    std::shared_ptr<const text::grammar::TokenIndex> index_;
};

}  // namespace puna::engine
