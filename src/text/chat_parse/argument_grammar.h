// A tool's arguments as a part of a grammar.
#pragma once

#include "puna/error.h"
#include "text/chat_parse/tools.h"
#include "text/grammar/grammar.h"

namespace puna::text::chat_parse {

/// A JSON object that is valid under the tool's parameters. Errors: invalid_argument, which names the tool.
Result<grammar::GrammarBuilder::Id> json_arguments(grammar::GrammarBuilder& builder, const Tool& tool);
/// As Qwen3-Coder writes them: each between <parameter=NAME> and </parameter>, strings as they are and all else as
/// JSON. Errors as above; also for parameters that cannot be kept to in this form: those that are not told by
/// `properties` and `required` alone, without a type, strings with a pattern, a format or a length.
Result<grammar::GrammarBuilder::Id> tagged_arguments(grammar::GrammarBuilder& builder, const Tool& tool);

}  // namespace puna::text::chat_parse
