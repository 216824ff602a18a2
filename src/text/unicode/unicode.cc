#include "text/unicode/unicode.h"

#include <algorithm>

namespace puna::text {

CharClass char_class(char32_t code_point) {
    if (code_point < 128) return ascii_classes[code_point];
    const ClassRange* end = class_ranges + class_range_count;
    const ClassRange* range = std::lower_bound(class_ranges, end, code_point,
                                               [](const ClassRange& r, char32_t value) { return r.last < value; });
    return range != end && range->first <= code_point ? range->name : CharClass::other;
}

}  // namespace puna::text
