// A table of text for people: aligned with spaces, or in Markdown.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace puna::cli {

class BenchTable {
  public:
    enum class Align { left, right };
    struct Column {
        std::string title;
        Align align = Align::right;
    };
    explicit BenchTable(std::vector<Column> columns) : columns_(std::move(columns)) {}

    /// A cell for each column.
    void add(std::vector<std::string> cells);
    bool empty() const { return rows_.empty(); }

    /// Lines, each ending in a newline.
    std::string plain() const;
    std::string markdown() const;

  private:
    std::vector<Column> columns_;
    std::vector<std::vector<std::string>> rows_;
};

}  // namespace puna::cli
