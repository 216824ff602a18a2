// Strings that know, byte by byte, whether they came from the template or from outside.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat_template/budget.h"

namespace puna::text::jinja {

/// Who wrote some bytes. Control tokens are looked for in the template's alone.
enum class Origin : bool { input, templ };

/// Immutable UTF-8 (bytes that are not count as characters of their own), cut into runs of one origin each.
class Text {
  public:
    struct Run {
        std::size_t end;  // byte
        Origin origin;
    };

    Text() = default;
    Text(std::string bytes, Origin origin);

    std::string_view bytes() const { return bytes_; }
    std::size_t size() const { return bytes_.size(); }
    /// Neighbours differ in origin, none is empty, the last ends with the text.
    const std::vector<Run>& runs() const { return runs_; }
    /// Of the run that holds the byte.
    Origin origin_at(std::size_t byte) const;
    /// `templ` if every byte is.
    Origin weakest_origin() const;

  private:
    friend class TextBuilder;
    std::string bytes_;
    std::vector<Run> runs_;
};

using TextPtr = std::shared_ptr<const Text>;

/// Puts texts together; what is appended is paid for, and once the budget is exhausted nothing is added any more.
class TextBuilder {
  public:
    explicit TextBuilder(Budget& budget) : budget_(&budget) {}

    void append(std::string_view bytes, Origin origin);
    void append(const Text& text) { append(text, 0, text.size()); }
    /// The bytes from `begin` to `end`.
    void append(const Text& text, std::size_t begin, std::size_t end);
    void append_repeated(const Text& text, std::size_t count);

    Budget& budget() const { return *budget_; }
    std::size_t size() const { return text_.size(); }
    /// What was built; the builder is empty afterwards.
    Text take();
    /// As `take`; an object of its own has its price.
    TextPtr take_shared();

  private:
    void add(std::string_view bytes, Origin origin);

    Budget* budget_;
    Text text_;
};

/// The bytes from `begin` to `end`.
TextPtr part_of(Budget& budget, const Text& text, std::size_t begin, std::size_t end);

}  // namespace puna::text::jinja
