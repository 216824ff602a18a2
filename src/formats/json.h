// JSON files: read as a whole, checked as a whole, and every value knows where it stands, for messages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "puna/error.h"

namespace puna::formats {

class JsonDocument;

enum class JsonKind : std::uint8_t { null, boolean, number, string, array, object };

/// A value of a JsonDocument, which must outlive it.
class Json {
  public:
    JsonKind kind() const;
    bool is(JsonKind kind_asked) const { return kind() == kind_asked; }
    /// Bytes from the file's start to the value.
    std::uint64_t offset() const;

    /// Of a string.
    std::string_view string() const;
    /// Of a boolean.
    bool boolean() const;
    /// Of a number: rounded to nearest.
    double number() const;
    /// Nullopt for a number that is written with a fraction or an exponent, is negative or over 2^64 - 1, and for any
    /// other value.
    std::optional<std::uint64_t> unsigned_integer() const;
    /// As unsigned_integer, from -2^63 to 2^63 - 1.
    std::optional<std::int64_t> integer() const;
    /// Whether it is the string `text`.
    bool is_string(std::string_view text) const { return is(JsonKind::string) && string() == text; }
    bool is_boolean(bool value) const { return is(JsonKind::boolean) && boolean() == value; }

    /// Elements of an array, members of an object; 0 for any other value.
    std::size_t size() const;
    /// Elements of an array, in order: `for (Json element = array.first(); element.exists(); element =
    /// element.next())`. Of an object, the values; each then has a key.
    Json first() const;
    Json next() const;
    bool exists() const { return index_ < end_; }
    /// Of a member of an object, while one goes over them.
    std::string_view key() const;
    /// The member of an object; one that is null counts as absent. Looks at all members. Nullopt for any other value.
    std::optional<Json> find(std::string_view key) const;

    /// The value as JSON on one line, cut after about `limit` bytes.
    std::string text(std::size_t limit = 400) const;
    /// Of the file.
    const std::string& path() const;
    /// file_malformed: "PATH: FIELD PROBLEM (at byte OFFSET)".
    Error malformed(std::string_view field, std::string_view problem) const;

  private:
    friend class JsonDocument;
    Json(const JsonDocument& document, std::uint32_t index, std::uint32_t end, bool keyed)
        : document_(&document), index_(index), end_(end), keyed_(keyed) {}
    void append_text(std::string& out, std::size_t limit) const;

    const JsonDocument* document_;
    std::uint32_t index_;  // of the value's node
    std::uint32_t end_;    // of the nodes of the array or object that it stands in
    bool keyed_;           // a node with the key stands before it
};

/// Immutable. Checked: well-formed JSON (RFC 8259) in UTF-8, one object, no key twice in any object, nested at most
/// `max_depth` deep.
class JsonDocument {
  public:
    static constexpr std::size_t max_depth = 64;
    static constexpr std::size_t max_bytes = std::size_t{256} << 20;
    static constexpr std::size_t max_values = std::size_t{1} << 24;  // keys counted too, and an empty object as two

    /// Copies what it needs of `text`. `path` and `base`, the text's place in its file, are for messages; `field` names
    /// the whole in them. A text of more than `most_values` values is refused before anything is made of it. Errors:
    /// file_malformed, out_of_memory.
    static Result<JsonDocument> parse(std::span<const std::byte> text, std::string_view path, std::string_view field,
                                      std::uint64_t base = 0, std::size_t most_values = max_values);
    JsonDocument(JsonDocument&&) noexcept;
    JsonDocument& operator=(JsonDocument&&) noexcept;
    ~JsonDocument();

    /// The object; lives as long as the document does, and at its place.
    Json root() const;
    const std::string& path() const { return path_; }

  private:
    friend class Json;
    friend class JsonReader;
    struct Node {
        union {
            const char* text;       // string: `size` bytes
            double number;          // number with a fraction, an exponent, or out of the range of integers
            std::uint64_t integer;  // boolean too
        };
        std::uint64_t offset;
        std::uint32_t size;  // string: bytes; array, object: elements
        std::uint32_t end;   // the node behind this value
        JsonKind kind;
        enum class Form : std::uint8_t { real, positive, negative } form;
    };
    struct Strings;  // what string nodes point into

    JsonDocument();
    std::string path_;
    std::vector<Node> nodes_;  // in the order of the file; an object's values each behind their key
    std::unique_ptr<Strings> strings_;
};

}  // namespace puna::formats
