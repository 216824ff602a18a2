#include "formats/json.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <cassert>
#include <limits>
#include <optional>
#include <unordered_set>
#include <utility>

#include "base/try.h"
#include "formats/printable.h"

namespace puna::formats {

namespace ondemand = simdjson::ondemand;

struct JsonDocument::Strings {
    ondemand::parser parser;  // holds the unescaped strings
};

namespace {

/// Where the text has begun more than `most` values and keys; nullopt if it does not. What is no JSON may be miscounted
/// from its first fault on, where the reader stops.
std::optional<std::size_t> find_excess(std::string_view text, std::size_t most) {
    if (text.size() <= most) return std::nullopt;  // none is shorter than a byte
    std::size_t values = 1;
    for (std::size_t at = 0; at < text.size(); ++at) {
        switch (text[at]) {
            case '"':
                for (++at; at < text.size() && text[at] != '"'; ++at)
                    if (text[at] == '\\') ++at;
                break;
            case '\\': ++at; break;  // no JSON out here, but simdjson does not take a quote behind it for one either
            case '{':
            case '[':
            case ':':
            case ',':
                if (++values > most) return at;
                break;
            default: break;
        }
    }
    return std::nullopt;
}

}  // namespace

/// Goes through all of the text with simdjson and notes what it meets.
class JsonReader {
  public:
    JsonReader(JsonDocument& document, std::string_view field, std::uint64_t base, simdjson::padded_string& text)
        : document_(document), field_(field), base_(base), text_(text) {}

    Result<void> read() {
        ondemand::document parsed;
        if (const auto error = document_.strings_->parser.iterate(text_).get(parsed)) return failed(error, 0);
        parsed_ = &parsed;
        ondemand::value root;
        if (const auto error = parsed.get_value().get(root)) return failed(error, where());
        ondemand::json_type type;
        if (const auto error = root.type().get(type)) return failed(error, where());
        if (type != ondemand::json_type::object) return problem("is not a JSON object", place(root));
        PUNA_CHECK(value(root, 0));
        const char* rest = nullptr;
        if (parsed.current_location().get(rest) == simdjson::SUCCESS) {
            return problem("goes on behind its end", place(rest));
        }
        return {};
    }

  private:
    using Node = JsonDocument::Node;

    std::uint64_t place(const char* at) const { return static_cast<std::uint64_t>(at - text_.data()); }
    std::uint64_t place(ondemand::value& value) const { return place(value.raw_json_token().data()); }
    /// Where the parser is.
    std::uint64_t where() const {
        const char* at = nullptr;
        if (parsed_->current_location().get(at) != simdjson::SUCCESS) return text_.size();
        return std::min<std::uint64_t>(place(at), text_.size());
    }

    Error problem(std::string_view what, std::uint64_t at) const {
        return {ErrorCode::file_malformed,
                fmt::format("{}: {} {} (at byte {})", printable_path(document_.path_), field_, what, base_ + at),
                "the file is damaged or incomplete; fetch it again"};
    }
    Error failed(simdjson::error_code error, std::uint64_t at) const {
        if (error == simdjson::MEMALLOC) {
            return {ErrorCode::out_of_memory,
                    fmt::format("{}: not enough memory for its JSON", printable_path(document_.path_)),
                    "close other programs, or use a machine with more memory"};
        }
        return problem(fmt::format("is no JSON: {}", printable(simdjson::error_message(error))), at);
    }

    Node& append(JsonKind kind, std::uint64_t at) {
        Node& node = document_.nodes_.emplace_back();
        node.integer = 0;
        node.offset = base_ + at;
        node.size = 0;
        node.end = static_cast<std::uint32_t>(document_.nodes_.size());
        node.kind = kind;
        node.form = Node::Form::positive;
        return node;
    }
    void append_string(std::string_view text, std::uint64_t at) {
        Node& node = append(JsonKind::string, at);
        node.text = text.data();
        node.size = static_cast<std::uint32_t>(text.size());
    }
    void close(std::size_t index, std::uint32_t size) {
        document_.nodes_[index].size = size;
        document_.nodes_[index].end = static_cast<std::uint32_t>(document_.nodes_.size());
    }

    // Calls itself at most max_depth deep.
    Result<void> value(ondemand::value& v, std::size_t depth) {
        const std::uint64_t at = place(v);
        if (depth > JsonDocument::max_depth) {
            return problem(fmt::format("is nested more than {} deep", JsonDocument::max_depth), at);
        }
        ondemand::json_type type;
        if (const auto error = v.type().get(type)) return failed(error, at);
        switch (type) {
            case ondemand::json_type::object: return object(v, at, depth);
            case ondemand::json_type::array: return array(v, at, depth);
            case ondemand::json_type::number: return number(v, at);
            case ondemand::json_type::string: {
                std::string_view text;
                if (const auto error = v.get_string().get(text)) return failed(error, at);
                append_string(text, at);
                return {};
            }
            case ondemand::json_type::boolean: {
                bool truth = false;
                if (const auto error = v.get_bool().get(truth)) return failed(error, at);
                append(JsonKind::boolean, at).integer = truth ? 1 : 0;
                return {};
            }
            case ondemand::json_type::null: break;
        }
        bool null = false;
        if (const auto error = v.is_null().get(null)) return failed(error, at);
        if (!null) return failed(simdjson::N_ATOM_ERROR, at);
        append(JsonKind::null, at);
        return {};
    }

    Result<void> object(ondemand::value& v, std::uint64_t at, std::size_t depth) {
        const std::size_t index = document_.nodes_.size();
        append(JsonKind::object, at);
        ondemand::object members;
        if (const auto error = v.get_object().get(members)) return failed(error, where());
        std::unordered_set<std::string_view> keys;
        for (auto found : members) {
            ondemand::field member;
            if (const auto error = std::move(found).get(member)) return failed(error, where());
            const std::uint64_t key_at = place(member.key().raw()) - 1;
            std::string_view key;
            if (const auto error = member.unescaped_key().get(key)) return failed(error, key_at);
            if (!keys.insert(key).second) {
                return problem(fmt::format("has the key '{}' twice in one object", printable(key)), key_at);
            }
            append_string(key, key_at);
            PUNA_CHECK(value(member.value(), depth + 1));
        }
        close(index, static_cast<std::uint32_t>(keys.size()));
        return {};
    }

    Result<void> array(ondemand::value& v, std::uint64_t at, std::size_t depth) {
        const std::size_t index = document_.nodes_.size();
        append(JsonKind::array, at);
        ondemand::array elements;
        if (const auto error = v.get_array().get(elements)) return failed(error, where());
        std::uint32_t size = 0;
        for (auto found : elements) {
            ondemand::value element;
            if (const auto error = std::move(found).get(element)) return failed(error, where());
            PUNA_CHECK(value(element, depth + 1));
            ++size;
        }
        close(index, size);
        return {};
    }

    Result<void> number(ondemand::value& v, std::uint64_t at) {
        // A getter that fails leaves the number where it is. Python writes whole numbers of any length; those beyond 64
        // bits are read as reals.
        std::uint64_t positive = 0;
        if (v.get_uint64().get(positive) == simdjson::SUCCESS) {
            append(JsonKind::number, at).integer = positive;
            return {};
        }
        std::int64_t negative = 0;
        if (v.get_int64().get(negative) == simdjson::SUCCESS) {
            Node& node = append(JsonKind::number, at);
            node.integer = static_cast<std::uint64_t>(negative);
            node.form = Node::Form::negative;
            return {};
        }
        double real = 0;
        if (const auto error = v.get_double().get(real)) return failed(error, at);
        Node& node = append(JsonKind::number, at);
        node.number = real;
        node.form = Node::Form::real;
        return {};
    }

    JsonDocument& document_;
    std::string_view field_;
    std::uint64_t base_;
    simdjson::padded_string& text_;
    ondemand::document* parsed_ = nullptr;
};

JsonDocument::JsonDocument() : strings_(std::make_unique<Strings>()) {}
JsonDocument::JsonDocument(JsonDocument&&) noexcept = default;
JsonDocument& JsonDocument::operator=(JsonDocument&&) noexcept = default;
JsonDocument::~JsonDocument() = default;

Result<JsonDocument> JsonDocument::parse(std::span<const std::byte> text, std::string_view path, std::string_view field,
                                         std::uint64_t base, std::size_t most_values) {
    if (text.size() > max_bytes) {
        return Error{ErrorCode::file_malformed,
                     fmt::format("{}: {} has {} bytes; at most {} are allowed (at byte {})", printable_path(path),
                                 field, text.size(), max_bytes, base),
                     "the file is damaged, or not what its name says"};
    }
    const std::string_view characters(reinterpret_cast<const char*>(text.data()), text.size());
    if (const auto excess = find_excess(characters, most_values)) {
        return Error{ErrorCode::file_malformed,
                     fmt::format("{}: {} holds more than {} values (at byte {})", printable_path(path), field,
                                 most_values, base + *excess),
                     "the file is damaged, or not what its name says"};
    }
    JsonDocument document;
    document.path_ = path;
    simdjson::padded_string padded(characters);
    if (padded.data() == nullptr) {
        return Error{ErrorCode::out_of_memory, fmt::format("{}: not enough memory for its JSON", printable_path(path)),
                     "close other programs, or use a machine with more memory"};
    }
    PUNA_CHECK(JsonReader(document, field, base, padded).read());
    return document;
}

Json JsonDocument::root() const {
    return {*this, 0, static_cast<std::uint32_t>(nodes_.size()), false};
}

JsonKind Json::kind() const {
    return document_->nodes_[index_].kind;
}

std::uint64_t Json::offset() const {
    return document_->nodes_[index_].offset;
}

std::string_view Json::string() const {
    assert(is(JsonKind::string));
    const auto& node = document_->nodes_[index_];
    return {node.text, node.size};
}

bool Json::boolean() const {
    assert(is(JsonKind::boolean));
    return document_->nodes_[index_].integer != 0;
}

double Json::number() const {
    assert(is(JsonKind::number));
    using Form = JsonDocument::Node::Form;
    const auto& node = document_->nodes_[index_];
    if (node.form == Form::real) return node.number;
    return node.form == Form::positive ? static_cast<double>(node.integer)
                                       : static_cast<double>(static_cast<std::int64_t>(node.integer));
}

std::optional<std::uint64_t> Json::unsigned_integer() const {
    const auto& node = document_->nodes_[index_];
    if (node.kind != JsonKind::number || node.form != JsonDocument::Node::Form::positive) return std::nullopt;
    return node.integer;
}

std::optional<std::int64_t> Json::integer() const {
    const auto& node = document_->nodes_[index_];
    if (node.kind != JsonKind::number || node.form == JsonDocument::Node::Form::real) return std::nullopt;
    const bool negative = node.form == JsonDocument::Node::Form::negative;
    if (!negative && node.integer > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) return std::nullopt;
    return static_cast<std::int64_t>(node.integer);
}

std::size_t Json::size() const {
    const auto& node = document_->nodes_[index_];
    return node.kind == JsonKind::array || node.kind == JsonKind::object ? node.size : 0;
}

Json Json::first() const {
    const auto& node = document_->nodes_[index_];
    const bool keyed = node.kind == JsonKind::object;
    if (size() == 0) return {*document_, node.end, node.end, keyed};
    return {*document_, index_ + (keyed ? 2 : 1), node.end, keyed};
}

Json Json::next() const {
    const std::uint32_t behind = document_->nodes_[index_].end;
    return {*document_, behind < end_ && keyed_ ? behind + 1 : behind, end_, keyed_};
}

std::string_view Json::key() const {
    assert(keyed_);
    const auto& node = document_->nodes_[index_ - 1];
    return {node.text, node.size};
}

std::optional<Json> Json::find(std::string_view key) const {
    if (!is(JsonKind::object)) return std::nullopt;
    for (Json member = first(); member.exists(); member = member.next()) {
        if (member.key() == key) return member.is(JsonKind::null) ? std::nullopt : std::optional(member);
    }
    return std::nullopt;
}

// Calls itself at most max_depth deep.
void Json::append_text(std::string& out, std::size_t limit) const {
    const auto quote = [](std::string_view text) {
        std::string quoted = "\"";
        for (const char c : text) {
            if (c == '"' || c == '\\') quoted += '\\';
            quoted += c;
        }
        return quoted + '"';
    };
    switch (kind()) {
        case JsonKind::null: out += "null"; return;
        case JsonKind::boolean: out += boolean() ? "true" : "false"; return;
        case JsonKind::number: out += integer() ? fmt::format("{}", *integer()) : fmt::format("{}", number()); return;
        case JsonKind::string: out += quote(string()); return;
        case JsonKind::array:
        case JsonKind::object: break;
    }
    const bool object = is(JsonKind::object);
    out += object ? '{' : '[';
    std::string_view separator;
    for (Json element = first(); element.exists() && out.size() <= limit; element = element.next()) {
        out += separator;
        separator = ", ";
        if (object) out += quote(element.key()) + ": ";
        element.append_text(out, limit);
    }
    out += object ? '}' : ']';
}

std::string Json::text(std::size_t limit) const {
    std::string out;
    append_text(out, limit);
    return printable(out, limit);
}

const std::string& Json::path() const {
    return document_->path();
}

Error Json::malformed(std::string_view field, std::string_view problem) const {
    return {ErrorCode::file_malformed,
            fmt::format("{}: {} {} (at byte {})", printable_path(document_->path()), field, problem, offset()),
            "the file is damaged, or was written by a faulty tool; fetch it again"};
}

}  // namespace puna::formats
