// Text for a terminal: what it may obey, and how it may look.
#pragma once

#include <string>
#include <string_view>

namespace puna::cli {

/// `text` without control characters, but for line breaks and tabs: what a model writes must not move cursors, retitle
/// windows or answer for the user. Whole UTF-8 sequences are taken and given.
std::string terminal_text(std::string_view text);

/// Whether the terminal obeys escape sequences: TERM names one, and not "dumb".
bool obeys_escapes();

/// `text` set back, where `descriptor` (stderr) is a terminal that can do so and NO_COLOR is not set (no-color.org).
std::string dimmed(std::string text, int descriptor = 2);

}  // namespace puna::cli
