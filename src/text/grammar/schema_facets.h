// What a conjunction of JSON schemas asks of a value, keyword by keyword.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "puna/error.h"
#include "text/grammar/json_text.h"

namespace puna::text::grammar {

using Json = nlohmann::ordered_json;

/// A set of JSON's types; integers are apart from the other numbers.
using TypeSet = std::uint8_t;
inline constexpr TypeSet null_type = 1, boolean_type = 2, integer_type = 4, fractional_type = 8, string_type = 16,
                         array_type = 32, object_type = 64, all_types = 127;
inline constexpr TypeSet number_types = integer_type | fractional_type;

TypeSet type_of(const Json& value);

/// A schema that takes part in a conjunction. `own` leaves its $ref, allOf, anyOf and oneOf out: they take part by
/// themselves. `free` leaves enum and const out.
struct SchemaPart {
    const Json* schema;
    bool own = false, free = false;
    auto operator<=>(const SchemaPart&) const = default;
};
using Conjunction = std::vector<SchemaPart>;

constexpr std::uint64_t no_limit = std::numeric_limits<std::uint64_t>::max();

struct Facets {
    Conjunction parts;                // all of them, each with `own` set
    bool impossible = false;          // a schema is `false`, or a choice leads back to itself
    bool repeated = false;            // a schema with choices was met again
    TypeSet types = all_types;        // by type, enum and const
    TypeSet mentioned = 0;            // types that have keywords of their own here
    bool typed = false;               // type, enum or const is among the keywords
    bool has_values = false;          // enum or const is
    std::vector<const Json*> values;  // that all of them allow

    std::optional<JsonText::Bound> min, max;
    bool whole = false;          // multipleOf is among the keywords
    std::uint64_t multiple = 1;  // of which integers are multiples
    std::uint64_t min_length = 0, max_length = no_limit;
    std::vector<std::string> patterns;  // regular expressions to be found in the string, those of formats too

    struct Items {
        const Json* prefix;  // null: none
        const Json* rest;    // null: anything
    };
    std::vector<Items> items;
    std::uint64_t min_items = 0, max_items = no_limit;

    struct Members {
        const Json* properties;  // null: none
        const Json* others;      // null: not said
        bool of_all;             // `others` is for what no part of the conjunction names
    };
    std::vector<Members> members;
    /// A schema with unevaluatedProperties that others contain. What is beside it does not count for it, so all members
    /// and choices must be its own; here is how many are.
    struct Inner {
        const Json* schema;
        std::size_t members, choices;
    };
    std::vector<Inner> inner;
    std::vector<std::string> required;
    std::uint64_t min_properties = 0, max_properties = no_limit;

    struct Choice {
        const Json* branches;  // an array, not empty
        bool exactly_one;
    };
    std::vector<Choice> choices;
};

/// A whole schema document, checked as far as its keywords are reached.
class SchemaDocument {
  public:
    /// Errors: invalid_argument (no JSON, a key twice in one object, too deep, too long).
    static Result<SchemaDocument> parse(std::string_view text);
    SchemaDocument(SchemaDocument&&) noexcept;
    SchemaDocument& operator=(SchemaDocument&&) = delete;
    ~SchemaDocument();

    const Json& root() const { return *root_; }
    /// Follows $ref and allOf. Errors: a keyword that is unknown, unsupported or malformed.
    Result<Facets> facets_of(const Conjunction& conjunction) const;
    /// An error about the schema at `where`.
    Error fail(const Json& where, std::string_view what, std::string hint = {}) const;

  private:
    explicit SchemaDocument(std::unique_ptr<Json> root);
    Result<const Json*> resolve(const Json& schema, const Json& reference) const;
    Result<void> add(SchemaPart part, bool alone, std::vector<const Json*>& path, Facets& facets) const;
    /// Whether what was chosen for a part leads back to the part, with no value in between: such a choice says nothing.
    Result<bool> leads_back(const Facets& facets) const;
    Result<void> add_keyword(const Json& schema, const std::string& key, const Json& value, SchemaPart part,
                             Facets& facets) const;
    Result<bool> add_number_keyword(const Json& schema, const std::string& key, const Json& value,
                                    Facets& facets) const;
    Result<bool> add_string_keyword(const Json& schema, const std::string& key, const Json& value,
                                    Facets& facets) const;
    Result<bool> add_array_keyword(const Json& schema, const std::string& key, const Json& value, Facets& facets) const;
    Result<bool> add_object_keyword(const Json& schema, const std::string& key, const Json& value,
                                    Facets& facets) const;
    Result<std::uint64_t> count(const Json& schema, const std::string& key, const Json& value) const;

    std::unique_ptr<Json> root_;
};

/// The regular expression for a `format`, to be found in a string; empty if the format is not supported.
std::string_view pattern_of_format(std::string_view format);

}  // namespace puna::text::grammar
