#include "cli/terminal_text.h"

#include <unistd.h>

#include "base/text_file.h"

namespace puna::cli {

std::string terminal_text(std::string_view text) {
    std::string shown;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const bool is_c0 = (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7F;
        // C1 controls, U+0080 to U+009F: C2 80 to C2 9F.
        const bool is_c1 = byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
        if (is_c1) ++i;
        if (!is_c0 && !is_c1) shown += text[i];
    }
    return shown;
}

bool obeys_escapes() {
    const auto terminal = base::environment_variable("TERM");
    return terminal && *terminal != "dumb";
}

std::string dimmed(std::string text, int descriptor) {
    if (::isatty(descriptor) != 1 || !obeys_escapes() || base::environment_variable("NO_COLOR")) return text;
    return "\x1b[2m" + std::move(text) + "\x1b[0m";
}

}  // namespace puna::cli
