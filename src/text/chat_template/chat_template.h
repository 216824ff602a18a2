// Chat templates: from a conversation to the text that a model was trained on.
//
// Models bring a template in Jinja, which Transformers renders; this engine renders the same text for what those
// templates use. It knows statements (if, for with all of `loop`, set, macro, call, filter, with, generation, break,
// continue, raw), expressions, filters, tests and methods as Jinja 3.1 and Python have them in Transformers' setting:
// trim_blocks, lstrip_blocks, the immutable sandbox, the default undefined, `tojson` without HTML escapes,
// raise_exception, strftime_now. It refuses, with an error, what would need files (include, import, extends, block),
// chance or HTML (random, lipsum, urlize, xmlattr and their like). Nothing is escaped by itself: `safe` changes
// nothing, and what `escape` gives is text like any other. Integers have 128 bits, and beyond that are an error. Lists
// of what is known and of the differences: docs/chat-templates.md.
#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "puna/error.h"
#include "text/chat_template/budget.h"
#include "text/chat_template/value.h"

namespace puna::text {

/// What a template renders from: `jinja::Value` is a JSON-like value whose texts are either from outside
/// (`Value::input`) or count as the template's own (`Value::trusted`: the begin and end tokens).
using TemplateValue = jinja::Value;

/// A stretch of a rendered text, by who wrote it. Text from outside keeps its mark through every filter, slice and
/// concatenation, down to parts of words: it never becomes the template's. Numbers, true, false and none are marked as
/// the template's, for they hold no text from outside; the syntax that `tojson` and Python's notation put around values
/// is marked as input.
struct TextSpan {
    std::string text;
    bool from_template;

    bool operator==(const TextSpan&) const = default;
};

/// The texts of all spans, one after the other.
std::string joined(const std::vector<TextSpan>& spans);

class ChatTemplate {
  public:
    struct Options {
        /// What `strftime_now` takes for the local time. Without it that function is not defined, and templates fall
        /// back to a date of their own.
        std::optional<std::tm> now;
        ChatTemplateLimits limits;
    };

    /// Errors: file_malformed, with the line; unsupported tags among them.
    static Result<ChatTemplate> parse(std::string_view source);
    ~ChatTemplate();
    ChatTemplate(ChatTemplate&&) noexcept;
    ChatTemplate& operator=(ChatTemplate&&) noexcept;

    /// `variables`: what the template sees by name, such as messages, tools, add_generation_prompt, bos_token. Spans
    /// are not empty, and neighbours differ in origin. Thread-safe. Errors: invalid_argument, with the line: what the
    /// template raised, in its own words; wrong use of a value; a limit.
    Result<std::vector<TextSpan>> render(const jinja::Dict& variables, const Options& options) const;

  private:
    struct Tree;
    explicit ChatTemplate(std::unique_ptr<const Tree> tree);
    std::unique_ptr<const Tree> tree_;
};

}  // namespace puna::text
