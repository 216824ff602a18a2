#include "cli/constraint_flags.h"

#include <fmt/format.h>

#include "base/text_file.h"
#include "base/try.h"

namespace puna::cli {

void ConstraintFlags::declare(Flags& flags, const std::string& title, const std::string& text) {
    flags.section(title);
    flags.text("--grammar", "FILE", grammar_file, fmt::format("A grammar in GBNF, which {} must match.", text));
    flags.text("--json-schema", "FILE", schema_file, fmt::format("A JSON Schema, under which {} must be valid.", text));
    flags.text("--regex", "R", regex, fmt::format("A regular expression, which {} must match.", text));
}

Result<std::optional<Constraint>> ConstraintFlags::read(bool standard_input_is_taken) const {
    if (grammar_file.has_value() + schema_file.has_value() + regex.has_value() > 1) {
        return Error{ErrorCode::invalid_argument,
                     "--grammar, --json-schema and --regex are constraints, and a text has one", "give one of them"};
    }
    if (regex) return std::optional(Constraint{Constraint::Kind::regex, *regex});
    const std::optional<std::string>& file = grammar_file ? grammar_file : schema_file;
    if (!file) return std::optional<Constraint>();
    if (*file == "-" && standard_input_is_taken) {
        return Error{ErrorCode::invalid_argument, "the constraint and the prompt cannot both be standard input",
                     "give one of them as a file"};
    }
    PUNA_TRY(std::string text, base::read_text_file(*file));
    return std::optional(
        Constraint{grammar_file ? Constraint::Kind::gbnf : Constraint::Kind::json_schema, std::move(text)});
}

}  // namespace puna::cli
