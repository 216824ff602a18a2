#include "cli/chat/line_editor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <histedit.h>
#include <langinfo.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <clocale>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <filesystem>
#include <string_view>
#include <utility>

#include "base/system_error.h"
#include "cli/chat/stand_ins.h"
#include "cli/console.h"
#include "cli/terminal_text.h"
#include "text/unicode/utf8.h"

namespace puna::cli {
namespace {

constexpr int history_entries = 1000;
constexpr std::string_view block_mark = R"(""")";
// A terminal that was asked to sends these around what is pasted.
constexpr std::wstring_view paste_end = L"\x1b[201~";
// What libedit is told in the place of a code point without a width: a key that combines it with what is before it.
constexpr std::wstring_view combine_key = L"\x1b[999~";
constexpr std::string_view ask_for_paste_marks = "\x1b[?2004h";
constexpr std::string_view no_paste_marks = "\x1b[?2004l";

struct EditLineEnd {
    void operator()(EditLine* edit) const { el_end(edit); }
};
struct HistoryEnd {
    void operator()(History* history) const { history_end(history); }
};
struct FileEnd {
    void operator()(std::FILE* file) const { std::fclose(file); }
};

}  // namespace

struct LineEditor::State {
    const ReadingInterrupts& interrupts;
    bool interrupted = false;
    Completer completer;
    std::string history_file;
    std::string prompt;
    StandIns stand_ins;
    bool combines = false;  // whether they are used: the keys are emacs's, and characters are UTF-8
    bool pasting = false;
    wchar_t combining = 0;                         // what combine_key stands for
    std::wstring_view queued;                      // keys that come before those of the terminal
    std::string recalled;                          // the history's entry that libedit has
    std::string unwritten;                         // the beginning of a character
    std::unique_ptr<History, HistoryEnd> history;  // outlives the editor, which reads it
    std::unique_ptr<std::FILE, FileEnd> screen;    // and so does what it writes to
    std::unique_ptr<EditLine, EditLineEnd> edit;
};

namespace {

LineEditor::State& state_of(EditLine* edit) {
    void* data = nullptr;
    el_get(edit, EL_CLIENTDATA, &data);
    return *static_cast<LineEditor::State*>(data);
}

/// The next character of standard input: 1, 0 at its end, or -1. It waits here, and not in libedit, so that no SIGINT
/// falls between the looking for one and the waiting.
int next_character(EditLine* edit, wchar_t* character) {
    LineEditor::State& state = state_of(edit);
    if (!state.queued.empty()) {
        *character = state.queued.front();
        state.queued.remove_prefix(1);
        return 1;
    }
    std::mbstate_t partial = {};
    while (true) {
        if (!state.interrupts.wait_for_input()) {
            state.interrupted = true;
            return -1;
        }
        char byte = 0;
        const ssize_t got = ::read(STDIN_FILENO, &byte, 1);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return static_cast<int>(got);
        const std::size_t used = std::mbrtowc(character, &byte, 1, &partial);
        if (used == static_cast<std::size_t>(-2)) continue;  // more bytes of it are to come
        if (used != static_cast<std::size_t>(-1)) {
            if (state.combines && !state.pasting && *character != 0 && ::wcwidth(*character) == 0) {
                state.combining = std::exchange(*character, combine_key.front());
                state.queued = combine_key.substr(1);
            }
            return 1;
        }
        partial = {};  // no character: passed over
    }
}

char* prompt_of(EditLine* edit) {
    return state_of(edit).prompt.data();
}

/// What libedit draws, with the characters in the place of their stand-ins.
ssize_t write_to_screen(void* cookie, const char* bytes, std::size_t size) {
    auto& state = *static_cast<LineEditor::State*>(cookie);
    state.unwritten.append(bytes, size);
    const std::size_t whole = text::settled_length(state.unwritten);
    const std::string shown = state.stand_ins.expanded(std::string_view(state.unwritten).substr(0, whole));
    state.unwritten.erase(0, whole);
    for (std::string_view rest = shown; !rest.empty();) {
        const ssize_t written = ::write(STDOUT_FILENO, rest.data(), rest.size());
        if (written < 0 && errno != EINTR) return 0;
        if (written > 0) rest.remove_prefix(static_cast<std::size_t>(written));
    }
    return static_cast<ssize_t>(size);
}

/// The history, as libedit asks for it: each entry with stand-ins.
int recall(void* data, HistEvent* event, int operation, ...) {
    auto& state = *static_cast<LineEditor::State*>(data);
    std::va_list arguments;
    va_start(arguments, operation);
    void* const argument = va_arg(arguments, void*);
    va_end(arguments);
    const int result = history(state.history.get(), event, operation, argument);
    if (result < 0 || event->str == nullptr) return result;
    state.recalled = state.combines ? state.stand_ins.contracted(event->str) : event->str;
    event->str = state.recalled.c_str();
    return result;
}

/// The text up to the cursor.
std::string before_cursor(EditLine* edit) {
    const LineInfo* const info = el_line(edit);
    return state_of(edit).stand_ins.expanded({info->buffer, info->cursor});
}

/// False: there was no room for it.
bool insert(EditLine* edit, std::string_view text) {
    LineEditor::State& state = state_of(edit);
    const std::string inserted = state.combines ? state.stand_ins.contracted(text) : std::string(text);
    return el_insertstr(edit, inserted.c_str()) == 0;
}

/// Joins a code point without a width to the character before it.
unsigned char combine(EditLine* edit, int) {
    const LineInfoW* const info = el_wline(edit);
    std::string character;
    if (info->cursor > info->buffer) {
        text::append_utf8(character, static_cast<char32_t>(info->cursor[-1]));
        character = state_of(edit).stand_ins.expanded(character);
        el_deletestr(edit, 1);
    }
    text::append_utf8(character, static_cast<char32_t>(state_of(edit).combining));
    return insert(edit, character) ? CC_REFRESH : CC_REFRESH_BEEP;
}

std::string common_start(const std::vector<std::string>& words) {
    std::string common = words.front();
    for (const std::string& word : words)
        common.resize(static_cast<std::size_t>(std::ranges::mismatch(common, word).in1 - common.begin()));
    return common;
}

unsigned char complete(EditLine* edit, int) {
    const std::string line = before_cursor(edit);
    const std::size_t word_begin = line.rfind(' ') + 1;  // 0 if there is none
    const std::vector<std::string> words = state_of(edit).completer(line);
    if (words.empty()) return CC_REFRESH_BEEP;
    const std::string common = common_start(words);
    std::string rest = common.substr(std::min(line.size() - word_begin, common.size()));
    if (words.size() == 1 && !words.front().ends_with('/')) rest += ' ';
    if (!rest.empty()) return insert(edit, rest) ? CC_REFRESH : CC_REFRESH_BEEP;
    std::string list = "\r\n";
    for (const std::string& word : words)
        list += word + "  ";
    talk(list + "\r\n");
    return CC_REDISPLAY;
}

/// Takes all up to the end mark into the line, line breaks among it.
unsigned char paste(EditLine* edit, int) {
    std::wstring text;
    wchar_t character = 0;
    state_of(edit).pasting = true;
    while (el_wgetc(edit, &character) == 1) {
        text += character == L'\r' ? L'\n' : character;
        if (!text.ends_with(paste_end)) continue;
        text.resize(text.size() - paste_end.size());
        break;
    }
    state_of(edit).pasting = false;
    while (text.ends_with(L'\n'))
        text.pop_back();
    if (!state_of(edit).combines)
        return text.empty() || el_winsertstr(edit, text.c_str()) == 0 ? CC_REFRESH : CC_REFRESH_BEEP;
    std::string bytes;
    for (const wchar_t each : text)
        text::append_utf8(bytes, static_cast<char32_t>(each));
    return bytes.empty() || insert(edit, bytes) ? CC_REFRESH : CC_REFRESH_BEEP;
}

}  // namespace

LineEditor::LineEditor(std::unique_ptr<State> state) : state_(std::move(state)) {}

LineEditor::~LineEditor() {
    if (obeys_escapes()) talk(no_paste_marks);
}

Result<std::unique_ptr<LineEditor>> LineEditor::create(const ReadingInterrupts& interrupts, Completer completer,
                                                       std::string history_file) {
    // Characters are as wide as the locale says; one that does not know UTF-8 would tear them.
    if (std::setlocale(LC_CTYPE, "") == nullptr || MB_CUR_MAX == 1) std::setlocale(LC_CTYPE, "C.UTF-8");
    auto state = std::make_unique<State>(State{.interrupts = interrupts});
    state->completer = std::move(completer);
    state->history_file = std::move(history_file);
    state->history.reset(history_init());
    state->screen.reset(::fopencookie(state.get(), "w",
                                      {.read = nullptr, .write = write_to_screen, .seek = nullptr, .close = nullptr}));
    if (state->screen != nullptr)
        state->edit.reset(
            el_init_fd("puna", stdin, state->screen.get(), stderr, STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO));
    if (state->history == nullptr || state->edit == nullptr) {
        return Error{ErrorCode::io_error, "this terminal cannot be used for editing lines",
                     "set TERM, or pipe the text in"};
    }
    HistEvent event;
    history(state->history.get(), &event, H_SETSIZE, history_entries);
    history(state->history.get(), &event, H_SETUNIQUE, 1);
    if (!state->history_file.empty()) history(state->history.get(), &event, H_LOAD, state->history_file.c_str());

    EditLine* const edit = state->edit.get();
    el_set(edit, EL_CLIENTDATA, state.get());
    el_set(edit, EL_GETCFN, next_character);
    el_set(edit, EL_PROMPT, prompt_of);
    el_set(edit, EL_EDITOR, "emacs");
    el_set(edit, EL_HIST, recall, state.get());
    el_set(edit, EL_ADDFN, "puna-complete", "Complete a command", complete);
    el_set(edit, EL_ADDFN, "puna-paste", "Take a paste", paste);
    el_set(edit, EL_ADDFN, "puna-combine", "Join an accent to its letter", combine);
    el_set(edit, EL_BIND, "^I", "puna-complete", nullptr);
    el_set(edit, EL_BIND, "\x1b[999~", "puna-combine", nullptr);
    el_set(edit, EL_BIND, "\x1b[200~", "puna-paste", nullptr);
    el_set(edit, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    el_source(edit, nullptr);  // ~/.editrc, if there is one
    const char* keys = nullptr;
    el_get(edit, EL_EDITOR, &keys);
    state->combines =
        keys != nullptr && std::string_view(keys) == "emacs" && std::string_view(::nl_langinfo(CODESET)) == "UTF-8";
    return std::unique_ptr<LineEditor>(new LineEditor(std::move(state)));
}

LineEditor::Line LineEditor::read(const std::string& prompt) {
    state_->prompt = prompt;
    EditLine* const edit = state_->edit.get();
    el_resize(edit);  // the window may have changed while a reply came
    if (obeys_escapes()) talk(ask_for_paste_marks);
    int count = 0;
    state_->interrupted = false;
    // Before the prompt stands there: what is typed at it must not meet the terminal's own line editing, which makes
    // something else of Ctrl-D. (libedit does it later where something was typed ahead.)
    el_set(edit, EL_PREP_TERM, 1);
    const char* const got = el_gets(edit, &count);
    if (obeys_escapes()) talk(no_paste_marks);
    if (got == nullptr || count <= 0 || state_->interrupted) {
        if (!state_->interrupted) return {Line::Kind::end, {}};
        el_reset(edit);
        return {Line::Kind::interrupted, {}};
    }
    std::string text = state_->stand_ins.expanded({got, static_cast<std::size_t>(count)});
    if (text.ends_with('\n')) text.pop_back();
    return {Line::Kind::text, std::move(text)};
}

void LineEditor::remember(const std::string& entry) {
    HistEvent event;
    if (!entry.empty()) history(state_->history.get(), &event, H_ENTER, entry.c_str());
}

Result<void> LineEditor::save_history() const {
    const std::string& path = state_->history_file;
    if (path.empty()) return {};
    std::error_code ignored;  // what cannot be made is told by what comes next
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
    const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600);
    std::FILE* const file = descriptor < 0 ? nullptr : ::fdopen(descriptor, "w");
    if (file == nullptr) return base::system_error(ErrorCode::io_error, "write", path, errno);
    HistEvent event;
    history(state_->history.get(), &event, H_SAVE_FP, file);
    if (std::fclose(file) != 0) return base::system_error(ErrorCode::io_error, "write", path, errno);
    return {};
}

LineEditor::Line read_entry(LineEditor& editor, const std::string& prompt, const std::string& more_prompt) {
    using Line = LineEditor::Line;
    Line entry = editor.read(prompt);
    if (entry.kind != Line::Kind::text) return entry;
    const bool block = entry.text.starts_with(block_mark);
    if (block) entry.text.erase(0, block_mark.size());
    const auto closed = [&] { return block ? entry.text.ends_with(block_mark) : !entry.text.ends_with('\\'); };
    while (!closed()) {
        if (!block) entry.text.pop_back();
        const Line more = editor.read(more_prompt);
        if (more.kind != Line::Kind::text) return {Line::Kind::interrupted, {}};
        entry.text += '\n' + more.text;
    }
    if (!block) return entry;
    entry.text.resize(entry.text.size() - block_mark.size());
    if (entry.text.starts_with('\n')) entry.text.erase(0, 1);
    if (entry.text.ends_with('\n')) entry.text.pop_back();
    return entry;
}

}  // namespace puna::cli
