// Canonical composition, which some vocabularies were trained with.
#pragma once

#include <string>
#include <string_view>

namespace puna::text {

/// Whether `to_nfc` might change the text; false only where it does not.
bool may_need_nfc(std::string_view text);

/// `text` in Normalization Form C (Unicode Standard Annex #15, "Unicode Normalization Forms"). Bytes that are not UTF-8
/// stay as they are, and nothing composes across them. Linear time, but for a factor log n in runs of marks.
std::string to_nfc(std::string_view text);

}  // namespace puna::text
