#include "engine/constraint_compiler.h"

#include <utility>

#include "base/try.h"
#include "text/grammar/json_schema.h"
#include "text/grammar/pattern_parser.h"

namespace puna::engine {
namespace {

Result<text::grammar::Grammar> compile_grammar(const Constraint& constraint) {
    switch (constraint.kind) {
        case Constraint::Kind::gbnf: return text::grammar::compile_gbnf(constraint.source);
        case Constraint::Kind::regex: return text::grammar::compile_regex(constraint.source);
        case Constraint::Kind::json_schema: return text::grammar::compile_json_schema(constraint.source);
    }
    return Error{ErrorCode::invalid_argument, "the constraint is of no known kind", "give a Constraint::Kind"};
}

}  // namespace

Result<CompiledConstraint> ConstraintCompiler::compile(const Constraint& constraint) {
    PUNA_TRY(text::grammar::Grammar grammar, compile_grammar(constraint));
    const std::lock_guard lock(mutex_);
    if (index_ == nullptr) index_ = std::make_shared<const text::grammar::TokenIndex>(tokenizer_, vocabulary_);
    return CompiledConstraint{std::make_shared<const text::grammar::Grammar>(std::move(grammar)), index_};
}

}  // namespace puna::engine
