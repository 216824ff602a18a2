#include "cli/progress_line.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <string>

#include "cli/console.h"
#include "cli/units.h"

namespace puna::cli {
namespace {

std::string duration_words(double seconds) {
    const auto whole = static_cast<std::uint64_t>(std::ceil(seconds));
    if (whole < 60) return fmt::format("{} s", whole);
    if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
    return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
}

double part_of(std::uint64_t done, std::uint64_t all) {
    return all == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(all);
}

}  // namespace

ProgressLine::ProgressLine() : terminal_(::isatty(STDERR_FILENO) == 1) {}

void ProgressLine::show(std::uint64_t done, std::uint64_t all) {
    show_words(part_of(done, all), bytes_words(all));
}

void ProgressLine::show(std::uint64_t done, std::uint64_t all, std::string_view unit) {
    show_words(part_of(done, all), fmt::format("{} {}", all, unit));
}

void ProgressLine::show_words(double part, const std::string& all) {
    const auto now = std::chrono::steady_clock::now();
    if (now - last_shown_ < (terminal_ ? std::chrono::milliseconds(200) : std::chrono::seconds(10))) return;
    last_shown_ = now;
    const std::string left =
        part > 0.01 ? fmt::format(", {} left", duration_words(seconds() / part * (1 - part))) : std::string();
    talk(fmt::format("{}puna: {:3.0f} % of {}{}{}", terminal_ ? "\r\x1b[K" : "", 100 * part, all, left,
                     terminal_ ? "" : "\n"));
    shown_ = true;
}

void ProgressLine::end() const {
    if (terminal_ && shown_) talk("\n");
}

double ProgressLine::seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

}  // namespace puna::cli
