#include "text/unicode/case.h"

#include <algorithm>
#include <span>

namespace puna::text {
namespace {

/// The range that holds `code_point`, or null.
template <typename Range>
const Range* find_range(std::span<const Range> ranges, char32_t code_point) {
    const auto found = std::ranges::lower_bound(ranges, code_point, {}, [](const Range& range) { return range.last; });
    return found != ranges.end() && found->first <= code_point ? &*found : nullptr;
}

struct Tables {
    std::span<const CaseRange> ranges;
    std::span<const CaseExpansion> expansions;
};

Tables tables_of(Case to) {
    switch (to) {
        case Case::lower: return {{lower_ranges, lower_ranges_count}, {lower_expansions, lower_expansions_count}};
        case Case::upper: return {{upper_ranges, upper_ranges_count}, {upper_expansions, upper_expansions_count}};
        case Case::title: break;
    }
    return {{title_ranges, title_ranges_count}, {title_expansions, title_expansions_count}};
}

}  // namespace

std::uint8_t char_traits(char32_t code_point) {
    const TraitRange* range = find_range(std::span(trait_ranges, trait_ranges_count), code_point);
    return range == nullptr ? 0 : range->traits;
}

CaseMapped map_case(char32_t code_point, Case to) {
    const Tables tables = tables_of(to);
    const auto longer = std::ranges::lower_bound(tables.expansions, code_point, {}, &CaseExpansion::from);
    if (longer != tables.expansions.end() && longer->from == code_point) {
        const std::size_t count = longer->to[2] != 0 ? 3 : 2;
        return {{longer->to[0], longer->to[1], longer->to[2]}, count};
    }
    const CaseRange* range = find_range(tables.ranges, code_point);
    const bool mapped = range != nullptr && (code_point - range->first) % range->step == 0;
    const auto signed_code_point = static_cast<std::int64_t>(code_point);
    return {{mapped ? static_cast<char32_t>(signed_code_point + range->difference) : code_point}, 1};
}

}  // namespace puna::text
