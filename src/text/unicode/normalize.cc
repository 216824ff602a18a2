#include "text/unicode/normalize.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "text/unicode/utf8.h"

namespace puna::text {
namespace {

/// Characters below, the first combining mark, are composed already, and never the second of a pair that composes.
constexpr char32_t first_mark = 0x300;
constexpr unsigned char first_mark_lead =
    0xCC;  // the first byte of U+0300 in UTF-8; all characters below have a lesser
/// A jamo that composes with none before it, and that the library loses behind a syllable.
constexpr char32_t lost_jamo = 0x11A7;
constexpr std::size_t longest_decomposition = 8;  // characters; Unicode has 4

using Characters = std::vector<utf8proc_int32_t>;

int combining_class(utf8proc_int32_t character) {
    return utf8proc_get_property(character)->combining_class;
}

void append_decomposed(Characters& to, utf8proc_int32_t character) {
    const std::size_t size = to.size();
    to.resize(size + longest_decomposition);
    int no_boundaries = 0;
    const utf8proc_ssize_t count =
        utf8proc_decompose_char(character, to.data() + size, longest_decomposition, UTF8PROC_DECOMPOSE, &no_boundaries);
    if (count < 1 || count > static_cast<utf8proc_ssize_t>(longest_decomposition)) {  // no character of Unicode
        to.resize(size);
        to.push_back(character);
        return;
    }
    to.resize(size + static_cast<std::size_t>(count));
}

/// Sorts each run of marks by class. The library's own way takes time quadratic in the run, which may be the whole
/// text.
void reorder_marks(Characters& characters) {
    const auto is_mark = [](utf8proc_int32_t c) { return combining_class(c) != 0; };
    for (auto begin = characters.begin(); begin != characters.end();) {
        begin = std::find_if(begin, characters.end(), is_mark);
        const auto end = std::find_if_not(begin, characters.end(), is_mark);
        std::stable_sort(
            begin, end, [](utf8proc_int32_t a, utf8proc_int32_t b) { return combining_class(a) < combining_class(b); });
        begin = end;
    }
}

/// Appends the stretch, composed: it begins with a character that composes with none before it, or the text does.
void append_composed(std::string& out, const Characters& stretch, Characters& decomposed) {
    if (stretch.size() == 1 && static_cast<char32_t>(stretch.front()) < first_mark) {
        append_utf8(out, static_cast<char32_t>(stretch.front()));
        return;
    }
    decomposed.clear();
    for (const utf8proc_int32_t character : stretch)
        append_decomposed(decomposed, character);
    reorder_marks(decomposed);
    constexpr auto options = static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    const utf8proc_ssize_t count =
        utf8proc_normalize_utf32(decomposed.data(), static_cast<utf8proc_ssize_t>(decomposed.size()), options);
    for (utf8proc_ssize_t i = 0; i < count; ++i)
        append_utf8(out, static_cast<char32_t>(decomposed[static_cast<std::size_t>(i)]));
}

}  // namespace

bool may_need_nfc(std::string_view text) {
    return std::ranges::any_of(text, [](char byte) { return static_cast<unsigned char>(byte) >= first_mark_lead; });
}

std::string to_nfc(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    Characters stretch;  // not written yet
    Characters decomposed;
    const auto write_stretch = [&] {
        if (!stretch.empty()) append_composed(out, stretch, decomposed);
        stretch.clear();
    };
    while (!text.empty()) {
        const Utf8Char c = decode_utf8(text);
        if (!c.valid || c.code_point < first_mark || c.code_point == lost_jamo) write_stretch();
        if (c.valid) {
            stretch.push_back(static_cast<utf8proc_int32_t>(c.code_point));
        } else {
            out += text.front();
        }
        text.remove_prefix(c.length);
    }
    write_stretch();
    return out;
}

}  // namespace puna::text
