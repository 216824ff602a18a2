#include "cli/chat/slash_commands.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <limits>

#include "base/atomic_file.h"
#include "base/rng.h"
#include "base/system_error.h"
#include "base/text_file.h"
#include "base/try.h"
#include "cli/flags.h"
#include "cli/sampling_flags.h"
#include "cli/sampling_parameters.h"
#include "cli/suggest.h"
#include "cli/units.h"
#include "sampling/check_options.h"
#include "store/models.h"

extern char** environ;

namespace puna::cli {

struct SlashCommands::Entry {
    std::string_view name;
    std::string_view argument;
    std::string_view help;
    Result<void> (SlashCommands::*with)(const std::string&) = nullptr;
    Result<void> (SlashCommands::*without)() = nullptr;
    Result<void> (SlashCommands::*looks)() const = nullptr;
};

namespace {

struct Parameter {
    std::string name;
    std::function<Result<void>(Conversation::Settings&, std::string_view)> set;
    std::function<std::string(const Conversation::Settings&)> show;
};

Result<void> set_max_tokens(Conversation::Settings& settings, std::string_view value) {
    if (value == "none") {
        settings.max_tokens.reset();
        return {};
    }
    PUNA_TRY(const std::uint64_t number,
             parse_integer("num-predict", value, {1, std::numeric_limits<std::int32_t>::max()}));
    settings.max_tokens = static_cast<std::uint32_t>(number);
    return {};
}

Result<void> set_samplers(Conversation::Settings& settings, std::string_view value) {
    settings.sampling.samplers.clear();
    if (value == "default") return {};
    PUNA_TRY(settings.sampling.samplers, parse_samplers(value));
    return {};
}

Result<void> set_token_bias(Conversation::Settings& settings, std::string_view value) {
    settings.sampling.logit_bias.clear();
    if (value == "none") return {};
    PUNA_TRY(settings.sampling.logit_bias, parse_token_bias(value));
    return {};
}

std::string bias_words(const SamplingOptions& sampling) {
    std::string words;
    for (const auto& [id, bias] : sampling.logit_bias)
        words += fmt::format("{}{}={}", words.empty() ? "" : ",", id, bias);
    return words.empty() ? "none" : words;
}

Result<void> set_ignore_end(Conversation::Settings& settings, std::string_view value) {
    if (value != "on" && value != "off")
        return usage_error(fmt::format("ignore-eos is on or off, not '{}'", value), "");
    settings.sampling.ignore_end = value == "on";
    return {};
}

std::vector<Parameter> make_parameters() {
    using Settings = Conversation::Settings;
    std::vector<Parameter> all;
    for (const SamplingParameter& parameter : sampling_parameters()) {
        all.push_back({std::string(parameter.name),
                       [&parameter](Settings& settings, std::string_view value) {
                           return parameter.set(settings.sampling, value);
                       },
                       [&parameter](const Settings& settings) { return parameter.show(settings.sampling); }});
    }
    all.push_back(
        {"token-bias", set_token_bias, [](const Settings& settings) { return bias_words(settings.sampling); }});
    all.push_back({"ignore-eos", set_ignore_end,
                   [](const Settings& settings) { return std::string(settings.sampling.ignore_end ? "on" : "off"); }});
    all.push_back({"samplers", set_samplers,
                   [](const Settings& settings) { return samplers_words(settings.sampling.samplers); }});
    all.push_back({"seed",
                   [](Settings& settings, std::string_view value) -> Result<void> {
                       PUNA_TRY(settings.sampling.seed, parse_integer("seed", value, {}));
                       return {};
                   },
                   [](const Settings& settings) { return fmt::format("{}", settings.sampling.seed.value_or(0)); }});
    all.push_back({"num-predict", set_max_tokens, [](const Settings& settings) {
                       return settings.max_tokens ? fmt::format("{}", *settings.max_tokens) : std::string("none");
                   }});
    return all;
}

const std::vector<Parameter>& parameters() {
    static const std::vector<Parameter> all = make_parameters();
    return all;
}

/// Letter case and spaces around it do not matter.
std::string trimmed(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(" \t\n");
    if (begin == std::string_view::npos) return {};
    return std::string(text.substr(begin, text.find_last_not_of(" \t\n") - begin + 1));
}

std::string path_argument(std::string path) {
    if (!path.starts_with("~/")) return path;
    const auto home = base::environment_variable("HOME");
    return home ? *home + path.substr(1) : path;
}

std::vector<std::string> complete_path(const std::string& word) {
    namespace fs = std::filesystem;
    const std::size_t slash = word.rfind('/');
    const std::string folder = slash == std::string::npos ? "" : word.substr(0, slash + 1);
    std::vector<std::string> words;
    std::error_code failure;
    fs::directory_iterator entry(path_argument(folder.empty() ? "." : folder), failure);
    for (; !failure && entry != fs::directory_iterator(); entry.increment(failure)) {
        std::error_code ignored;
        const std::string path = folder + entry->path().filename().string() + (entry->is_directory(ignored) ? "/" : "");
        if (path.starts_with(word)) words.push_back(path);
    }
    std::ranges::sort(words);
    return words;
}

/// Names in the store, and paths.
std::vector<std::string> complete_model(const std::string& word) {
    std::vector<std::string> words;
    const auto folder = store::models_folder();
    const auto models = folder ? store::list_models(*folder) : Result(std::vector<store::StoredModel>());
    if (models.ok()) {
        for (const store::StoredModel& model : *models) {
            if (model.name.starts_with(word)) words.push_back(model.name);
        }
    }
    const std::vector<std::string> paths = complete_path(word);
    words.insert(words.end(), paths.begin(), paths.end());
    return words;
}

/// Base 64 of RFC 4648, which terminals take.
std::string base64(std::string_view bytes) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const std::string_view part = bytes.substr(i, 3);
        std::uint32_t group = 0;
        for (std::size_t j = 0; j < 3; ++j)
            group = (group << 8) | (j < part.size() ? static_cast<unsigned char>(part[j]) : 0U);
        for (std::size_t j = 0; j < 4; ++j)
            out += j <= part.size() ? digits[(group >> (18 - 6 * j)) & 63U] : '=';
    }
    return out;
}

/// Lets the user's editor change `text`. Errors: io_error.
Result<std::string> edited(const std::string& text) {
    const std::string editor =
        base::environment_variable("VISUAL").value_or(base::environment_variable("EDITOR").value_or("vi"));
    std::error_code failure;
    const std::filesystem::path folder = std::filesystem::temp_directory_path(failure);
    if (failure) return Error{ErrorCode::io_error, "there is no folder for temporary files", "set TMPDIR"};
    const std::string path = (folder / fmt::format("puna-{:014x}.txt", base::random_seed())).string();
    PUNA_TRY(auto file, base::AtomicFile::create(path));
    PUNA_CHECK(file.write(std::as_bytes(std::span(text))));
    PUNA_CHECK(file.commit());

    std::string command = editor + " \"$1\"";  // the variable may hold flags
    std::string shell = "/bin/sh", dash_c = "-c", name = "puna", argument = path;
    char* const words[] = {shell.data(), dash_c.data(), command.data(), name.data(), argument.data(), nullptr};
    pid_t child = 0;
    int status = 0;
    int number = posix_spawn(&child, shell.c_str(), nullptr, nullptr, words, environ);
    while (number == 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    auto changed = base::read_text_file(path);
    std::filesystem::remove(path, failure);
    if (number != 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return Error{ErrorCode::io_error, fmt::format("the editor '{}' failed", editor),
                     "set EDITOR to one that is there"};
    if (changed.ok() && changed->ends_with('\n')) changed->pop_back();
    return changed;
}

}  // namespace

const std::vector<SlashCommands::Entry>& SlashCommands::entries() {
    using S = SlashCommands;
    static const std::vector<Entry> all = {
        {.name = "help", .argument = "", .help = "this list", .looks = &S::help},
        {"system", "[TEXT]", "the system message: another one, or ('none') none; without TEXT: what it is", &S::system},
        {"set", "[NAME VALUE]", "a parameter; without NAME: all of them", &S::set},
        {"save", "FILE", "write the conversation to a file, to be gone on with", &S::save},
        {"load", "FILE", "go on with a conversation on file", &S::load},
        {.name = "clear", .argument = "", .help = "forget all but the system message", .without = &S::clear},
        {.name = "undo", .argument = "", .help = "take the last question and its reply back", .without = &S::undo},
        {.name = "regen",
         .argument = "",
         .help = "take the last reply back and ask for another",
         .without = &S::regenerate},
        {.name = "edit",
         .argument = "",
         .help = "change the last question in $EDITOR and ask it again",
         .without = &S::edit},
        {.name = "context", .argument = "", .help = "how much of the context is used", .looks = &S::context},
        {.name = "stats", .argument = "", .help = "tokens and speed of the last reply", .looks = &S::stats},
        {"model", "[NAME]", "go on with another model; without NAME: which this is, and how it is computed", &S::model},
        {.name = "copy-last",
         .argument = "",
         .help = "put the last reply in the clipboard (OSC 52)",
         .looks = &S::copy_last},
        {.name = "exit", .argument = "", .help = "leave; so does Ctrl-D"},
    };
    return all;
}

Result<bool> SlashCommands::run(const std::string& line) {
    const std::size_t end = std::min(line.find_first_of(" \n"), line.size());
    const std::string word = line.substr(1, end - 1);
    const std::string argument = trimmed(std::string_view(line).substr(end));
    const auto found = std::ranges::find(entries(), word, &Entry::name);
    if (found == entries().end()) {
        std::vector<std::string> names;
        for (const Entry& entry : entries())
            names.emplace_back(entry.name);
        const std::string meant = nearest(word, names);
        return usage_error(fmt::format("there is no command /{}", word),
                           meant.empty() ? "/help lists them" : fmt::format("did you mean /{}?", meant));
    }
    if (found->argument.empty() && !argument.empty())
        return usage_error(fmt::format("/{} takes nothing behind it", word), "");
    if (found->with != nullptr) {
        PUNA_CHECK((this->*found->with)(argument));
    } else if (found->without != nullptr) {
        PUNA_CHECK((this->*found->without)());
    } else if (found->looks != nullptr) {
        PUNA_CHECK((this->*found->looks)());
    } else {
        return false;
    }
    return true;
}

std::vector<std::string> SlashCommands::complete(const std::string& line) const {
    if (!line.starts_with('/')) return {};
    std::vector<std::string> words;
    const std::size_t space = line.find(' ');
    if (space == std::string::npos) {
        for (const Entry& entry : entries()) {
            std::string word = fmt::format("/{}", entry.name);
            if (word.starts_with(line)) words.push_back(std::move(word));
        }
        return words;
    }
    const std::string word = line.substr(line.rfind(' ') + 1);
    const std::string command = line.substr(0, space);
    if (command == "/save" || command == "/load") return complete_path(word);
    if (command == "/model") return complete_model(word);
    if (command == "/set" && line.rfind(' ') == space) {
        for (const Parameter& parameter : parameters()) {
            if (parameter.name.starts_with(word)) words.emplace_back(parameter.name);
        }
    }
    return words;
}

Result<void> SlashCommands::help() const {
    std::string text;
    for (const Entry& entry : entries())
        text += fmt::format("  {:<20}{}\n", fmt::format("/{} {}", entry.name, entry.argument), entry.help);
    text +=
        "  A line that begins with \"\"\" goes on until one that ends with \"\"\"; a line that ends with \\ goes on "
        "with the "
        "next.\n  Ctrl-C stops a reply; what came is kept.\n";
    hooks_.say(text);
    return {};
}

Result<void> SlashCommands::system(const std::string& argument) {
    if (!argument.empty()) chat_.conversation.set_system(argument == "none" ? "" : argument);
    const std::string text = chat_.conversation.system();
    hooks_.say(text.empty() ? "there is no system message\n" : fmt::format("system: {}\n", text));
    return {};
}

Result<void> SlashCommands::set(const std::string& argument) {
    Conversation::Settings& settings = chat_.conversation.settings;
    if (argument.empty()) {
        for (const Parameter& parameter : parameters())
            hooks_.say(fmt::format("  {:<20}{}\n", parameter.name, parameter.show(settings)));
        return {};
    }
    const std::size_t space = std::min(argument.find(' '), argument.size());
    const std::string name = argument.substr(0, space);
    const auto found = std::ranges::find(parameters(), name, &Parameter::name);
    if (found == parameters().end())
        return usage_error(fmt::format("there is no parameter '{}'", name), "/set lists them");
    Conversation::Settings changed = settings;
    PUNA_CHECK(found->set(changed, trimmed(std::string_view(argument).substr(space))));
    PUNA_CHECK(sampling::check_options(changed.sampling, chat_.model.info().vocabulary_tokens));
    settings = changed;
    hooks_.say(fmt::format("{} is {}\n", name, found->show(settings)));
    if (const std::string left_out = left_out_by_mirostat(settings.sampling); name == "mirostat" && !left_out.empty())
        hooks_.say(left_out + "\n");
    return {};
}

Result<void> SlashCommands::save(const std::string& argument) {
    if (argument.empty()) return usage_error("/save needs a file", "for example /save talk.session");
    PUNA_TRY(const Session session, chat_.conversation.snapshot());
    PUNA_TRY(const std::uint64_t bytes, session.save(path_argument(argument), chat_.files.compression()));
    hooks_.say(fmt::format("saved: {} messages, {} tokens, {}\n", chat_.conversation.messages().size(),
                           session.tokens().size(), bytes_words(bytes)));
    return {};
}

Result<void> SlashCommands::load(const std::string& argument) {
    if (argument.empty()) return usage_error("/load needs a file", "for example /load talk.session");
    PUNA_TRY(const Session session, Session::load(path_argument(argument)));
    PUNA_CHECK(chat_.restore(session));
    if (const ChatMessage* const last = chat_.conversation.last_reply(); last != nullptr)
        hooks_.say(fmt::format("the last reply was:\n{}\n", last->content));
    return {};
}

Result<void> SlashCommands::clear() {
    chat_.conversation.clear();
    hooks_.say("forgotten\n");
    return {};
}

Result<void> SlashCommands::undo() {
    const std::optional<std::string> question = chat_.conversation.undo();
    if (!question) return usage_error("there is no turn to take back", "");
    hooks_.say(fmt::format("taken back: {}\n", *question));
    return {};
}

Result<void> SlashCommands::regenerate() {
    hooks_.reply(nullptr);
    return {};
}

Result<void> SlashCommands::edit() {
    const auto& messages = chat_.conversation.messages();
    const auto last = std::find_if(messages.rbegin(), messages.rend(),
                                   [](const ChatMessage& message) { return message.role == "user"; });
    if (last == messages.rend()) return usage_error("there is no question to edit", "");
    PUNA_TRY(const std::string question, edited(last->content));
    if (question.empty()) return usage_error("the question is empty now: nothing is asked", "");
    chat_.conversation.undo();
    hooks_.say(fmt::format("> {}\n", question));
    hooks_.reply(&question);
    return {};
}

Result<void> SlashCommands::context() const {
    const Conversation& conversation = chat_.conversation;
    PUNA_TRY(const std::vector<TokenId> tokens, conversation.tokens());
    const std::uint32_t context = chat_.engine.info().context_tokens;
    std::string text = fmt::format("{} of {} tokens are used ({:.0f} %), by {} messages", tokens.size(), context,
                                   100.0 * static_cast<double>(tokens.size()) / context,
                                   conversation.messages().size() - conversation.hidden_messages());
    if (conversation.hidden_messages() > 0)
        text += fmt::format("; the model no longer sees {} older messages", conversation.hidden_messages());
    hooks_.say(text + "\n");
    return {};
}

Result<void> SlashCommands::stats() const {
    hooks_.say(last_.empty() ? "no reply yet\n" : last_ + "\n");
    return {};
}

Result<void> SlashCommands::model(const std::string& argument) {
    if (!argument.empty()) PUNA_CHECK(chat_.change_model(path_argument(argument)));
    const ModelInfo& model = chat_.model.info();
    const EngineInfo& engine = chat_.engine.info();
    hooks_.say(fmt::format("{}\n{}, {} parameters; {} threads, kernels {}, law {}, keys and values {}\n", model.path,
                           model.name.empty() ? model.architecture : model.name, count_words(model.parameters),
                           engine.threads, engine.kernels, engine.law, engine.kv_type));
    if (!argument.empty() && !chat_.conversation.messages().empty()) {
        PUNA_TRY(const std::vector<TokenId> tokens, chat_.conversation.tokens());
        hooks_.say(fmt::format("the conversation stays: {} messages, {} tokens in this model's template\n",
                               chat_.conversation.messages().size(), tokens.size()));
    }
    return {};
}

// The terminal does it: OSC 52 of XTerm Control Sequences.
Result<void> SlashCommands::copy_last() const {
    const ChatMessage* const reply = chat_.conversation.last_reply();
    if (reply == nullptr) return usage_error("there is no reply to copy", "");
    talk(fmt::format("\x1b]52;c;{}\x07", base64(reply->content)));
    hooks_.say(
        fmt::format("{} sent to the clipboard, where the terminal allows it\n", bytes_words(reply->content.size())));
    return {};
}

}  // namespace puna::cli
