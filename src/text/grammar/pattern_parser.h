// The two textual forms of a grammar, GBNF and regular expressions.
#pragma once

#include <string_view>

#include "text/grammar/grammar.h"

namespace puna::text::grammar {

/// Compiles a regular expression that the whole text must match: alternatives, groups, classes, escapes (\d \w \s \D \W
/// \S \n \r \t \f \v \0 \xHH \uHHHH, ASCII classes as in ECMA-262), `.` (anything but the ends of lines), and * + ? {n}
/// {n,} {n,m}, lazy or not. ^ and $ may stand at the very beginning and end. Back references, assertions and named
/// groups are errors, which name the byte offset.
Result<Grammar> compile_regex(std::string_view regex);

/// As above, but the expression may match anywhere within the text, as JSON Schema's `pattern` does.
Result<Grammar> compile_regex_search(std::string_view regex);

/// Compiles GBNF, the notation of llama.cpp's grammars: `name ::= alternatives`, with "literals", [classes], `.` (any
/// character), (groups), the repetitions of regular expressions, and # comments; rule `root` is what must match. A rule
/// ends where the next `name ::=` begins. Left recursion is allowed.
Result<Grammar> compile_gbnf(std::string_view gbnf);

}  // namespace puna::text::grammar
