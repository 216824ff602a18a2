// Where a text comes from: -p, -f, or standard input.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cli/flags.h"
#include "puna/error.h"

namespace puna::cli {

/// `-p TEXT` is the text; `-f FILE` holds it, and `{{PROMPT}}` in it stands for what -p gave. `-` in place of either
/// reads standard input, and so does a pipe where neither is given. A file and standard input lose one newline at
/// their end: editors and `echo` put it there, and it is not meant.
struct PromptSource {
    std::optional<std::string> prompt;
    std::optional<std::string> file;

    void declare(Flags& flags);
    /// Errors: invalid_argument (no text, two texts from standard input, a file without {{PROMPT}} beside -p),
    /// file_not_found, file_unreadable.
    Result<std::string> read() const;
    bool reads_standard_input() const { return prompt == "-" || file == "-" || (!prompt && !file); }
    /// The file's text, which must hold {{PROMPT}} for what is put in its place later; nullopt without -f. Errors: as
    /// `read`.
    Result<std::optional<std::string>> read_template() const;
};

/// All occurrences of {{PROMPT}} in `text`, replaced. Braces in `prompt` are text.
std::string substitute_prompt(std::string_view text, std::string_view prompt);

}  // namespace puna::cli
