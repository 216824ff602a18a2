#include "cli/prompt_source.h"

#include <fmt/format.h>
#include <unistd.h>

#include "base/text_file.h"
#include "base/try.h"

namespace puna::cli {
namespace {

constexpr std::string_view placeholder = "{{PROMPT}}";

/// `path` "-" is standard input.
Result<std::string> read_without_last_newline(const std::string& path) {
    PUNA_TRY(std::string text, base::read_text_file(path));
    if (text.ends_with('\n')) text.pop_back();
    return text;
}

Error no_prompt() {
    return {ErrorCode::invalid_argument, "no prompt is given", "give -p TEXT or -f FILE, or pipe text in"};
}

Error no_placeholder(const std::string& file, std::string_view what) {
    return {ErrorCode::invalid_argument, fmt::format("the text file '{}' holds no {} for {}", file, placeholder, what),
            "leave -p away, or write {{PROMPT}} into the file where the text belongs"};
}

}  // namespace

void PromptSource::declare(Flags& flags) {
    flags.text("-p,--prompt", "TEXT", prompt, "The text. '-', or a pipe without -p and -f: read standard input.");
    flags.text("-f,--prompt-file", "FILE", file,
               "Read the text from a file, less one newline at its end; {{PROMPT}} in it stands for the text of -p.");
}

Result<std::optional<std::string>> PromptSource::read_template() const {
    if (!file) return std::optional<std::string>();
    PUNA_TRY(std::string text, read_without_last_newline(*file));
    if (text.find(placeholder) == std::string::npos) return no_placeholder(*file, "what is asked");
    return std::optional(std::move(text));
}

Result<std::string> PromptSource::read() const {
    if (prompt == "-" && file == "-") {
        return Error{ErrorCode::invalid_argument, "-p and -f cannot both be standard input", "give one of them"};
    }
    if (!file) {
        if (prompt && prompt != "-") return *prompt;
        if (!prompt && ::isatty(STDIN_FILENO) == 1) return no_prompt();
        PUNA_TRY(std::string text, read_without_last_newline("-"));
        if (!prompt && text.empty()) return no_prompt();
        return text;
    }
    PUNA_TRY(std::string text, read_without_last_newline(*file));
    if (!prompt) return text;
    if (text.find(placeholder) == std::string::npos) return no_placeholder(*file, "the text of -p");
    if (prompt != "-") return substitute_prompt(text, *prompt);
    PUNA_TRY(const std::string standard_input, read_without_last_newline("-"));
    return substitute_prompt(text, standard_input);
}

std::string substitute_prompt(std::string_view text, std::string_view prompt) {
    std::string out;
    while (true) {
        const std::size_t found = text.find(placeholder);
        out += text.substr(0, found);
        if (found == std::string_view::npos) return out;
        out += prompt;
        text.remove_prefix(found + placeholder.size());
    }
}

}  // namespace puna::cli
