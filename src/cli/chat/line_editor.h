// Lines from a terminal, with editing, history, completion and bracketed paste.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/interrupt.h"
#include "puna/error.h"

namespace puna::cli {

/// For one thread, one at a time: libedit's callbacks know no context but this one's.
class LineEditor {
  public:
    struct Line {
        enum class Kind { text, interrupted, end } kind;  // interrupted: Ctrl-C; end: Ctrl-D on an empty line
        std::string text;                                 // without its newline; a paste may hold others
    };
    /// What the last word of `line` may be completed to, as whole words.
    using Completer = std::function<std::vector<std::string>(const std::string& line)>;

    /// `history_file`: read now and written by `save_history`; empty: none is kept. Errors: io_error (no terminal that
    /// can be used). `interrupts` must outlive it.
    static Result<std::unique_ptr<LineEditor>> create(const ReadingInterrupts& interrupts, Completer completer,
                                                      std::string history_file);
    ~LineEditor();
    LineEditor(const LineEditor&) = delete;
    LineEditor& operator=(const LineEditor&) = delete;

    Line read(const std::string& prompt);
    /// What was entered, which may be several lines, as one entry of the history.
    void remember(const std::string& entry);
    /// Writes the history file, its owner's alone. Errors: io_error.
    Result<void> save_history() const;

    struct State;

  private:
    explicit LineEditor(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

/// A line, or several: between `"""` marks, or as long as they end with a backslash. Ctrl-C takes all of them back.
LineEditor::Line read_entry(LineEditor& editor, const std::string& prompt, const std::string& more_prompt);

}  // namespace puna::cli
