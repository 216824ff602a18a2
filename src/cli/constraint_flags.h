// The flags that say what a text must match; the same for every subcommand that generates.
#pragma once

#include <optional>
#include <string>

#include "cli/flags.h"
#include "puna/error.h"
#include "puna/request.h"

namespace puna::cli {

struct ConstraintFlags {
    std::optional<std::string> grammar_file;
    std::optional<std::string> schema_file;
    std::optional<std::string> regex;

    /// `title`: of the section in the help; `text`: what must match, as "the whole text".
    void declare(Flags& flags, const std::string& title, const std::string& text);
    /// The constraint, whose file it reads; none if no flag is given. `standard_input_is_taken`: by something else that
    /// reads it. Errors: invalid_argument, and those of reading a file.
    Result<std::optional<Constraint>> read(bool standard_input_is_taken) const;
};

}  // namespace puna::cli
