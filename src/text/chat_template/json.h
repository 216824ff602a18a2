// Values as JSON, as Python's json.dumps writes it.
#pragma once

#include <optional>

#include "text/chat_template/value.h"

namespace puna::text::jinja {

struct JsonOptions {
    bool ensure_ascii = false;
    bool sort_keys = false;
    std::optional<Text> indent;  ///< each level's; without it all is on one line
    Text item_separator;
    Text key_separator;
};

/// Strings keep their origin, JSON's own syntax counts as input. An error (of which the message alone is filled) for
/// what JSON cannot say.
Result<void> append_json(TextBuilder& out, const Value& value, const JsonOptions& options);

}  // namespace puna::text::jinja
