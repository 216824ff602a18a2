#include "cli/bench_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

namespace puna::cli {

void BenchTable::add(std::vector<std::string> cells) {
    assert(cells.size() == columns_.size());
    rows_.push_back(std::move(cells));
}

std::string BenchTable::plain() const {
    std::vector<std::size_t> widths;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        std::size_t width = columns_[i].title.size();
        for (const auto& row : rows_)
            width = std::max(width, row[i].size());
        widths.push_back(width);
    }
    std::string text;
    const auto line = [&](const auto& cell) {
        std::string words;
        for (std::size_t i = 0; i < columns_.size(); ++i) {
            if (i > 0) words += "  ";
            words += columns_[i].align == Align::left ? fmt::format("{:<{}}", cell(i), widths[i])
                                                      : fmt::format("{:>{}}", cell(i), widths[i]);
        }
        words.erase(words.find_last_not_of(' ') + 1);
        text += words + "\n";
    };
    line([&](std::size_t i) { return columns_[i].title; });
    for (const auto& row : rows_)
        line([&](std::size_t i) { return row[i]; });
    return text;
}

std::string BenchTable::markdown() const {
    const auto line = [&](const auto& cell) {
        std::string words = "|";
        for (std::size_t i = 0; i < columns_.size(); ++i)
            words += cell(i);
        return words + "\n";
    };
    // A file's name may hold what ends a cell.
    const auto escaped = [](const std::string& text) {
        std::string result;
        for (const char c : text)
            result += c == '|' ? std::string("\\|") : std::string(1, c);
        return fmt::format(" {} |", result);
    };
    std::string text = line([&](std::size_t i) { return escaped(columns_[i].title); });
    text += line([&](std::size_t i) { return columns_[i].align == Align::left ? "---|" : "---:|"; });
    for (const auto& row : rows_)
        text += line([&](std::size_t i) { return escaped(row[i]); });
    return text;
}

}  // namespace puna::cli
