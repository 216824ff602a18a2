// Characters of several code points, each as one while a line is edited.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace puna::cli {

/// libedit gives a code point one column or two; one without a width (an accent, a joiner) it writes over when it draws
/// the line anew. So a code point with such ones behind it is edited as a stand-in of the same width, which is replaced
/// by what it stands for on the way to the screen and out of the editor: one key moves over it or takes it away.
///
/// Stand-ins are code points for private use, and, of two columns, compatibility ideographs. Those that are typed get
/// stand-ins too, so that every text comes back as it was. Texts are UTF-8; widths are those of the locale. For one
/// thread.
class StandIns {
  public:
    /// `text` with stand-ins. After 542 of two columns others have one; after 65,000 a text stays as it is.
    std::string contracted(std::string_view text);
    /// The text that `contracted` was made of.
    std::string expanded(std::string_view text) const;

  private:
    struct Range {
        char32_t next, last;
    };
    std::string stand_in(const std::string& character, int columns);

    Range narrow_{0xF0000, 0xFFFFD};
    Range wide_{0x2F800, 0x2FA1D};
    std::map<std::string, char32_t, std::less<>> stand_in_of_;
    std::map<char32_t, std::string> character_of_;
};

}  // namespace puna::cli
