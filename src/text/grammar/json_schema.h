// JSON Schema as a grammar.
#pragma once

#include <string_view>

#include "puna/error.h"
#include "text/grammar/grammar.h"

namespace puna::text::grammar {

/// Compiles a JSON Schema, draft 2020-12, to a grammar of JSON texts that are valid under it. Every text that matches
/// is valid; not every valid text matches: properties come in the order of the schema, white space is bounded, and
/// where the schema leaves a number's digits open, they are bounded. Keywords that are not supported are errors that
/// name them and where they stand; docs/constraints.md lists all.
Result<Grammar> compile_json_schema(std::string_view schema);

}  // namespace puna::text::grammar
