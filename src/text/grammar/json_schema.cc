#include "text/grammar/json_schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/try.h"
#include "text/grammar/matcher.h"
#include "text/grammar/pattern_parser.h"
#include "text/grammar/schema_facets.h"

namespace puna::text::grammar {
namespace {

using Id = GrammarBuilder::Id;

constexpr std::size_t max_alternatives = 1000;  // combinations of the branches of anyOf and oneOf
constexpr std::size_t max_rules = 50'000;
constexpr std::size_t max_members = 5000;
constexpr int max_comparisons = 4;  // properties within properties that tell two branches apart

/// Whether no number is within both ranges.
bool apart(const Facets& a, const Facets& b) {
    const auto below = [](const std::optional<JsonText::Bound>& max, const std::optional<JsonText::Bound>& min) {
        return max && min &&
               (max->value < min->value || (max->value == min->value && (max->exclusive || min->exclusive)));
    };
    return below(a.max, b.min) || below(b.max, a.min);
}

/// Whether the error says of a grammar that it is one of nothing.
bool matches_nothing(const Error& error) {
    return error.message.find("no text matches") != std::string::npos;
}

class SchemaCompiler {
  public:
    explicit SchemaCompiler(const SchemaDocument& document) : document_(document), json_(builder_) {}

    Result<Grammar> compile(const Conjunction& conjunction) {
        const std::uint32_t root = rule_of(conjunction);
        while (!work_.empty()) {
            const auto [parts, rule] = work_.front();
            work_.pop_front();
            PUNA_TRY(const Id body, body_of(parts));
            builder_.define(rule, body);
            if (rules_.size() > max_rules) return document_.fail(document_.root(), "needs too many rules");
        }
        auto grammar = builder_.compile(root);
        if (grammar.ok() || !matches_nothing(grammar.error())) return grammar;
        return document_.fail(document_.root(), "allows no value at all", "check what its keywords ask together");
    }

  private:
    using Patterns = std::vector<std::shared_ptr<const Grammar>>;

    /// A member of an object: its name and what its value must be.
    struct Member {
        std::string name;
        Conjunction value;
        bool required = false;
    };

    std::uint32_t rule_of(Conjunction parts) {
        std::sort(parts.begin(), parts.end());
        parts.erase(std::unique(parts.begin(), parts.end()), parts.end());
        const auto [entry, added] = rules_.try_emplace(std::move(parts), 0);
        if (added) {
            entry->second = builder_.add_rule();
            work_.emplace_back(entry->first, entry->second);
        }
        return entry->second;
    }
    Id value_of(const Conjunction& parts) { return builder_.call(rule_of(parts)); }
    Id never() { return builder_.choice({}); }
    Id bytes(std::string_view text) { return builder_.bytes(text); }

    Result<Id> body_of(const Conjunction& parts) {
        PUNA_TRY(const Facets facets, document_.facets_of(parts));
        if (facets.impossible) return never();
        if (!facets.choices.empty()) return alternatives(facets);
        if (facets.has_values) return values(facets);
        PUNA_TRY(std::vector<Id> choices, scalars(facets));
        if ((facets.types & array_type) != 0) choices.push_back(array(facets));
        if ((facets.types & object_type) != 0) {
            PUNA_TRY(const Id members, object(facets));
            choices.push_back(members);
        }
        return builder_.choice(std::move(choices));
    }

    /// All but arrays and objects.
    Result<std::vector<Id>> scalars(const Facets& facets) {
        std::vector<Id> choices;
        if ((facets.types & null_type) != 0) choices.push_back(bytes("null"));
        if ((facets.types & boolean_type) != 0) choices.insert(choices.end(), {bytes("true"), bytes("false")});
        if ((facets.types & fractional_type) != 0) {
            auto number = json_.number(facets.min, facets.max);
            if (!number.ok()) return at(facets, std::move(number).error());
            choices.push_back(*number);
        } else if ((facets.types & integer_type) != 0) {
            auto integer = json_.integer(facets.min, facets.max, facets.multiple);
            if (!integer.ok()) return at(facets, std::move(integer).error());
            choices.push_back(*integer);
        }
        if ((facets.types & string_type) != 0) {
            PUNA_TRY(const Id text, string(facets));
            choices.push_back(text);
        }
        return choices;
    }

    /// `error` of a part that does not know where it stands.
    Error at(const Facets& facets, Error error) const {
        std::string hint = error.hint;
        return document_.fail(*facets.parts.front().schema, fmt::format("cannot be compiled: {}", error.message),
                              std::move(hint));
    }

    // anyOf and oneOf: every combination of a branch of each, joined with what stands beside them.
    Result<Id> alternatives(const Facets& facets) {
        std::vector<Conjunction> combinations{facets.parts};
        for (const Facets::Choice& choice : facets.choices) {
            if (combinations.size() * choice.branches->size() > max_alternatives)
                return document_.fail(*choice.branches, "has too many combinations of anyOf and oneOf");
            if (choice.exactly_one) PUNA_CHECK(check_apart(facets, choice));
            std::vector<Conjunction> longer;
            for (const Conjunction& combination : combinations) {
                for (const Json& branch : *choice.branches) {
                    longer.push_back(combination);
                    longer.back().push_back({&branch, false, combination.front().free});
                }
            }
            combinations = std::move(longer);
        }
        std::vector<Id> choices;
        for (const Conjunction& combination : combinations)
            choices.push_back(value_of(combination));
        return builder_.choice(std::move(choices));
    }

    Result<void> check_apart(const Facets& facets, const Facets::Choice& choice) {
        std::vector<Facets> branches;
        for (const Json& branch : *choice.branches) {
            PUNA_TRY(Facets one, document_.facets_of({{&branch, false, false}}));
            // What stands beside the branches holds for each of them.
            if (facets.typed) one.types = one.typed ? one.types & facets.types : facets.types;
            one.typed = one.typed || facets.typed;
            one.required.insert(one.required.end(), facets.required.begin(), facets.required.end());
            branches.push_back(std::move(one));
        }
        for (std::size_t i = 0; i < branches.size(); ++i) {
            for (std::size_t j = 0; j < i; ++j) {
                PUNA_TRY(const bool disjoint, excludes(branches[j], branches[i], 0));
                if (disjoint) continue;
                return document_.fail(*choice.branches,
                                      fmt::format("has branches {} and {} of oneOf that one value may match", j, i),
                                      "use anyOf, or give each branch a required property with another const");
            }
        }
        return {};
    }

    /// Whether it is certain that no value matches both.
    Result<bool> excludes(const Facets& a, const Facets& b, int depth) {
        if (a.impossible || b.impossible || depth > max_comparisons) return a.impossible || b.impossible;
        TypeSet common = a.types & b.types;
        // Types that a schema leaves open although it could have said one are open here too.
        if (!a.typed) common = b.types;
        if (!b.typed) common = a.typed ? a.types : all_types;
        if (a.has_values && b.has_values) {
            for (const Json* const one : a.values) {
                for (const Json* const other : b.values) {
                    if (same_json(*one, *other)) return false;
                }
            }
            return true;
        }
        if ((common & number_types) != 0 && apart(a, b)) common &= static_cast<TypeSet>(~number_types);
        if (a.max_length < b.min_length || b.max_length < a.min_length) common &= static_cast<TypeSet>(~string_type);
        if (a.max_items < b.min_items || b.max_items < a.min_items) common &= static_cast<TypeSet>(~array_type);
        if ((common & object_type) != 0) {
            PUNA_TRY(const bool disjoint, objects_exclude(a, b, depth));
            if (disjoint) common &= static_cast<TypeSet>(~object_type);
        }
        return common == 0;
    }

    /// A property that one requires and the other forbids, or whose values in the two exclude each other.
    Result<bool> objects_exclude(const Facets& a, const Facets& b, int depth) {
        for (const auto& [first, second] : {std::pair(&a, &b), std::pair(&b, &a)}) {
            for (const std::string& name : first->required) {
                const Conjunction in_first = member_value(*first, name), in_second = member_value(*second, name);
                if (in_second.empty() || in_first.empty()) continue;
                PUNA_TRY(const Facets value, document_.facets_of(in_first));
                PUNA_TRY(const Facets other, document_.facets_of(in_second));
                PUNA_TRY(const bool disjoint, excludes(value, other, depth + 1));
                if (disjoint) return true;
            }
        }
        return false;
    }

    static bool same_json(const Json& a, const Json& b) { return nlohmann::json(a) == nlohmann::json(b); }

    /// What the value of `name` must be: a schema of each part that says anything about it.
    static Conjunction member_value(const Facets& facets, const std::string& name) {
        Conjunction out;
        bool named = false;
        const auto own = [&](const Facets::Members& part) {
            if (part.properties == nullptr) return false;
            const auto found = part.properties->find(name);
            if (found == part.properties->end()) return false;
            out.push_back({&*found});
            return true;
        };
        std::vector<const Json*> others;
        for (const Facets::Members& part : facets.members) {
            const bool has = own(part);
            named = named || has;
            if (!has && part.others != nullptr && !part.of_all) out.push_back({part.others});
            if (part.of_all) others.push_back(part.others);
        }
        // Which names the branches of a choice have is not known here.
        for (const Json* const schema : others) {
            if (!named && facets.choices.empty()) out.push_back({schema});
        }
        return out;
    }

    Result<Id> string(const Facets& facets) {
        if (facets.patterns.empty()) {
            if (facets.min_length > facets.max_length) return never();
            const auto length = [](std::uint64_t count) {
                return static_cast<std::uint32_t>(std::min<std::uint64_t>(count, unbounded));
            };
            return json_.string(length(facets.min_length), length(facets.max_length));
        }
        PUNA_TRY(const std::optional<std::vector<Grammar>> patterns, patterns_of(facets));
        if (!patterns) return never();
        auto text = json_.string_like(*patterns, facets.min_length, facets.max_length);
        if (!text.ok()) return at(facets, std::move(text).error());
        return *text;
    }

    /// Those of a string; nullopt if one of them matches nothing.
    Result<std::optional<std::vector<Grammar>>> patterns_of(const Facets& facets) const {
        std::vector<Grammar> patterns;
        for (const std::string& pattern : facets.patterns) {
            auto grammar = compile_regex_search(pattern);
            if (!grammar.ok() && matches_nothing(grammar.error())) return std::optional<std::vector<Grammar>>();
            if (!grammar.ok()) return at(facets, std::move(grammar).error());
            patterns.push_back(std::move(grammar).value());
        }
        return std::optional(std::move(patterns));
    }

    // "[" and items, the first of which are those of prefixItems; a rule for each of them, so that nothing nests.
    Id array(const Facets& facets) {
        std::size_t prefix = 0;
        std::uint64_t max = facets.max_items;
        Conjunction rest;
        for (const Facets::Items& items : facets.items) {
            const std::size_t own = items.prefix == nullptr ? 0 : items.prefix->size();
            prefix = std::max(prefix, own);
            if (items.rest == nullptr) continue;
            rest.push_back({items.rest});
            if (items.rest->is_boolean() && !items.rest->get<bool>()) max = std::min<std::uint64_t>(max, own);
        }
        const auto item = [&](std::size_t index) {
            Conjunction value;
            for (const Facets::Items& items : facets.items) {
                const std::size_t own = items.prefix == nullptr ? 0 : items.prefix->size();
                if (index < own) {
                    value.push_back({&(*items.prefix)[index]});
                } else if (items.rest != nullptr) {
                    value.push_back({items.rest});
                }
            }
            return value_of(value);
        };
        if (facets.min_items > max) return never();
        const Id comma = bytes(",");
        const auto limit = [&](std::uint64_t count, std::size_t gone) {
            return static_cast<std::uint32_t>(std::min<std::uint64_t>(count > gone ? count - gone : 0, unbounded - 1));
        };
        const std::size_t fixed =
            static_cast<std::size_t>(std::min<std::uint64_t>(std::max<std::size_t>(prefix, 1), max));
        // What follows the first `fixed` items.
        Id tail = builder_.sequence({});
        if (max > fixed)
            tail = builder_.repeat(builder_.sequence({comma, json_.space(), value_of(rest)}),
                                   limit(facets.min_items, fixed), max == no_limit ? unbounded : limit(max, fixed));
        for (std::size_t i = fixed; i-- > 0;) {
            const Id here = i == 0 ? builder_.sequence({json_.space(), item(i), tail})
                                   : builder_.sequence({comma, json_.space(), item(i), tail});
            const std::uint32_t rule = builder_.add_rule();
            builder_.define(rule, i >= facets.min_items ? builder_.repeat(here, 0, 1) : here);
            tail = builder_.call(rule);
        }
        return builder_.sequence({bytes("["), tail, json_.space(), bytes("]")});
    }

    Result<Id> object(const Facets& facets) {
        PUNA_TRY(const std::vector<Member> members, members_of(facets));
        const std::optional<Conjunction> others = other_members(facets);
        const auto required = static_cast<std::uint64_t>(std::ranges::count(members, true, &Member::required));
        if (facets.max_properties < std::max(facets.min_properties, required)) return never();
        if (members.empty() && others && facets.min_properties > 1) {
            return document_.fail(*facets.parts.front().schema,
                                  "has minProperties over 1 for properties of any name, which is not supported",
                                  "a name may come twice and counts once; give the properties names");
        }
        if (members.empty() && others)
            return builder_.sequence({bytes("{"), map(facets, *others), json_.space(), bytes("}")});
        if (facets.min_properties > required || (facets.max_properties < members.size()) ||
            (others && facets.max_properties != no_limit)) {
            return document_.fail(*facets.parts.front().schema,
                                  "has minProperties or maxProperties beside properties, which is not supported");
        }
        // From the last member to the first: what may follow when none has come yet, and when one has.
        std::vector<std::string> names;
        for (const Member& member : members)
            names.push_back(member.name);
        Id first = builder_.sequence({}), later = first;
        if (others) {
            const Id one = builder_.sequence(
                {json_.space(), json_.string_other_than(names), bytes(":"), json_.space(), value_of(*others)});
            later = builder_.repeat(builder_.sequence({bytes(","), one}), 0, unbounded);
            first = builder_.repeat(builder_.sequence({one, later}), 0, 1);
        }
        const auto as_rule = [&](Id body) {
            const std::uint32_t rule = builder_.add_rule();
            builder_.define(rule, body);
            return builder_.call(rule);
        };
        for (auto member = members.rbegin(); member != members.rend(); ++member) {
            const Id one = builder_.sequence({json_.space(), json_.literal_string(member->name), bytes(":"),
                                              json_.space(), value_of(member->value), later});
            const Id behind = builder_.sequence({bytes(","), one});
            first = as_rule(member->required ? one : builder_.choice({one, first}));
            later = as_rule(member->required ? behind : builder_.choice({behind, later}));
        }
        return builder_.sequence({bytes("{"), first, json_.space(), bytes("}")});
    }

    /// Members of any name, as many as min- and maxProperties say. That names differ is more than a grammar can ask, so
    /// that no more than one of them is sure.
    Id map(const Facets& facets, const Conjunction& value) {
        const Id one =
            builder_.sequence({json_.space(), json_.string(0, unbounded), bytes(":"), json_.space(), value_of(value)});
        if (facets.max_properties == 0) return builder_.sequence({});
        const auto limit = [](std::uint64_t count) {
            return static_cast<std::uint32_t>(std::min<std::uint64_t>(count, unbounded - 1));
        };
        const Id more =
            builder_.repeat(builder_.sequence({bytes(","), one}), 0,
                            facets.max_properties == no_limit ? unbounded : limit(facets.max_properties - 1));
        const Id some = builder_.sequence({one, more});
        return facets.min_properties == 0 ? builder_.repeat(some, 0, 1) : some;
    }

    /// Those with a name, in the order in which the schemas name them; then those that are only required.
    Result<std::vector<Member>> members_of(const Facets& facets) const {
        std::vector<Member> members;
        std::set<std::string> names;
        const std::set<std::string> required(facets.required.begin(), facets.required.end());
        const auto add = [&](const std::string& name) {
            if (names.insert(name).second)
                members.push_back({name, member_value(facets, name), required.contains(name)});
        };
        for (const Facets::Members& part : facets.members) {
            if (part.properties == nullptr) continue;
            if (part.properties->size() > max_members)
                return document_.fail(*part.properties, fmt::format("has more than {} properties", max_members));
            for (const auto& [name, schema] : part.properties->items())
                add(name);
        }
        for (const std::string& name : facets.required)
            add(name);
        return members;
    }

    /// What members without a name of their own must be; nullopt if there are none. Where nothing is said about them,
    /// there are none beside properties.
    static std::optional<Conjunction> other_members(const Facets& facets) {
        Conjunction out;
        bool said = false, named = !facets.required.empty();
        for (const Facets::Members& part : facets.members) {
            named = named || part.properties != nullptr;
            if (part.others == nullptr) continue;
            said = true;
            if (part.others->is_boolean() && !part.others->get<bool>()) return std::nullopt;
            out.push_back({part.others});
        }
        if (!said && named) return std::nullopt;
        return out;
    }

    // enum and const: those values that what stands beside them allows.
    Result<Id> values(const Facets& facets) {
        if ((facets.mentioned & facets.types & (array_type | object_type)) != 0) {
            return document_.fail(*facets.parts.front().schema,
                                  "has arrays or objects in enum or const beside other keywords for them",
                                  "leave the other keywords out: the values say it all");
        }
        Patterns patterns;
        if ((facets.types & string_type) != 0) {
            PUNA_TRY(std::optional<std::vector<Grammar>> grammars, patterns_of(facets));
            if (!grammars) return never();
            for (Grammar& grammar : *grammars)
                patterns.push_back(std::make_shared<const Grammar>(std::move(grammar)));
        }
        std::vector<Id> choices;
        std::set<std::string> seen;
        for (const Json* const value : facets.values) {
            if (value->is_number() && !allows_number(facets, *value)) continue;
            if (value->is_string() && !allows_string(facets, patterns, value->get_ref<const std::string&>())) continue;
            if (const std::string text = spelled(*value); seen.insert(text).second) choices.push_back(bytes(text));
        }
        return builder_.choice(std::move(choices));
    }

    static bool allows_number(const Facets& facets, const Json& value) {
        const auto number = value.get<double>();
        if (facets.min && (number < facets.min->value || (number == facets.min->value && facets.min->exclusive)))
            return false;
        if (facets.max && (number > facets.max->value || (number == facets.max->value && facets.max->exclusive)))
            return false;
        if (!facets.whole) return true;
        if (value.is_number_unsigned()) return value.get<std::uint64_t>() % facets.multiple == 0;
        if (value.is_number_integer())
            return value.get<std::int64_t>() % static_cast<std::int64_t>(facets.multiple) == 0;
        return std::fmod(number, static_cast<double>(facets.multiple)) == 0;
    }

    static bool allows_string(const Facets& facets, const Patterns& patterns, const std::string& text) {
        const auto begins_character = [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80; };
        const auto length = static_cast<std::uint64_t>(std::ranges::count_if(text, begins_character));
        if (length < facets.min_length || length > facets.max_length) return false;
        return std::ranges::all_of(patterns, [&](const std::shared_ptr<const Grammar>& pattern) {
            Matcher matcher(pattern);
            return std::ranges::all_of(text, [&](char c) { return matcher.advance(static_cast<std::uint8_t>(c)); }) &&
                   matcher.accepts();
        });
    }

    static std::string spelled(const Json& value) {
        if (value.is_number_float() && type_of(value) == integer_type)
            return fmt::format("{}", static_cast<std::int64_t>(value.get<double>()));
        return value.dump();
    }

    const SchemaDocument& document_;
    GrammarBuilder builder_;
    JsonText json_;
    std::map<Conjunction, std::uint32_t> rules_;
    std::deque<std::pair<Conjunction, std::uint32_t>> work_;
};

}  // namespace

Result<Grammar> compile_json_schema(std::string_view schema) {
    PUNA_TRY(const SchemaDocument document, SchemaDocument::parse(schema));
    return SchemaCompiler(document).compile({{&document.root(), false, false}});
}

}  // namespace puna::text::grammar
