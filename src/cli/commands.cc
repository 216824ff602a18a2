#include "cli/commands.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <exception>
#include <new>
#include <stdexcept>

#include "base/try.h"
#include "cli/exit_code.h"
#include "cli/suggest.h"
#include "puna/version.h"

namespace puna::cli {
namespace {

struct Entry {
    std::string_view name;
    std::string_view usage;
    std::string_view summary;
    std::unique_ptr<Command> (*make)();
};

constexpr Entry entries[] = {
    {"run", "-m FILE -p TEXT", "Continue a text: the prompt goes in, the model's text comes out.", make_run_command},
    {"chat", "[MODEL]", "Talk with a model, in turns.", make_chat_command},
    {"list", "", "List the models that have a name.", make_list_command},
    {"show", "FILE", "Print what a model file holds, and the memory it will take.", make_show_command},
    {"verify", "FILE", "Read a model to its end: structure, sizes, SHA-256, weights that are no numbers.",
     make_verify_command},
    {"diff", "A B", "Print where two models differ: metadata, vocabulary, tensors.", make_diff_command},
    {"tokenize", "-m FILE -p TEXT", "Print the token ids of a text, or the text of token ids.", make_tokenize_command},
    {"perplexity", "-m FILE -f FILE", "Measure how well a model predicts a text.", make_perplexity_command},
    {"bench", "-m FILE", "Measure the speed of prompt and generation beside what this machine can do.",
     make_bench_command},
    {"quantize", "IN OUT TYPE", "Write a model's weights in fewer bits, as a GGUF file.", make_quantize_command},
    {"imatrix", "-m FILE -f TEXT -o FILE", "Find out which weights matter most, for 'puna quantize --imatrix'.",
     make_imatrix_command},
    {"convert", "IN OUT", "Write a model as one GGUF file, its tensors as they are or in another type.",
     make_convert_command},
    {"split", "IN [OUT] --max-size SIZE", "Write a GGUF model as several files.", make_split_command},
    {"merge", "FIRST OUT", "Write a GGUF model in several files as one.", make_merge_command},
    {"session", "show|verify|rm|import FILE",
     "Look at a session on file, check that it is whole, remove it, or import one.", make_session_command},
    {"doctor", "", "Print what this machine offers, and what puna chose.", make_doctor_command},
};

std::string main_help() {
    std::string text =
        "puna runs open language models on ordinary CPUs.\n\n"
        "Usage: puna COMMAND [FLAGS]\n"
        "       puna -m FILE -p TEXT [FLAGS]    the same as 'puna run'\n\n"
        "Commands:\n";
    for (const Entry& entry : entries)
        text += fmt::format("  {:<12}{}\n", entry.name, entry.summary);
    text +=
        "\n'puna COMMAND --help' lists a command's flags; 'puna --version' prints the version.\n\n"
        "Example:\n"
        "  puna -m model.gguf -p \"The capital of France is\" -n 8 --temp 0\n";
    return text;
}

const Entry* find_entry(std::string_view name) {
    const auto* found =
        std::find_if(std::begin(entries), std::end(entries), [&](const Entry& entry) { return entry.name == name; });
    return found == std::end(entries) ? nullptr : found;
}

Error unknown_command(const std::string& word) {
    std::vector<std::string> names;
    for (const Entry& entry : entries)
        names.emplace_back(entry.name);
    const std::string meant = nearest(word, names);
    return {ErrorCode::invalid_argument, fmt::format("unknown command '{}'", word),
            meant.empty() ? "'puna --help' lists the commands" : fmt::format("did you mean 'puna {}'?", meant)};
}

Result<int> print_version(Output& output) {
    PUNA_CHECK(output.write_line(fmt::format("puna {}", version)));
    return exit_ok;
}

Result<int> run_entry(const Entry& entry, const std::vector<std::string>& arguments, Output& output) {
    const std::unique_ptr<Command> command = entry.make();
    const std::string_view space = entry.usage.empty() ? "" : " ";
    Flags flags(fmt::format("{}{}{} [FLAGS]", entry.name, space, entry.usage), std::string(entry.summary));
    command->declare(flags);
    PUNA_CHECK(flags.parse(arguments));
    if (flags.help_wanted()) {
        PUNA_CHECK(output.write(flags.help()));
        return exit_ok;
    }
    if (flags.version_wanted()) return print_version(output);
    return command->execute(output);
}

Result<int> dispatch(std::vector<std::string> arguments, Output& output) {
    if (arguments.empty()) {
        talk(main_help());
        return exit_usage;
    }
    const std::string first = arguments.front();
    if (first == "--help" || first == "-h" || (first == "help" && arguments.size() == 1)) {
        PUNA_CHECK(output.write(main_help()));
        return exit_ok;
    }
    if (first == "--version") return print_version(output);
    if (first.starts_with('-')) return run_entry(*find_entry("run"), arguments, output);
    if (first == "help") arguments = {arguments[1], "--help"};
    const Entry* const entry = find_entry(arguments.front());
    if (entry == nullptr) return unknown_command(arguments.front());
    arguments.erase(arguments.begin());
    return run_entry(*entry, arguments, output);
}

Result<int> guarded_dispatch(std::vector<std::string> arguments, Output& output) {
    try {
        return dispatch(std::move(arguments), output);
    } catch (const std::bad_alloc&) {
        return Error{ErrorCode::out_of_memory, "not enough memory", "try a smaller --num-ctx-tokens or --batch-size"};
    } catch (const std::length_error&) {
        return Error{ErrorCode::out_of_memory, "not enough memory", "try a smaller --num-ctx-tokens or --batch-size"};
    } catch (const std::exception& exception) {
        return Error{ErrorCode::io_error, fmt::format("the system refused something: {}", exception.what()), ""};
    }
}

}  // namespace

int run_command_line(int argc, const char* const* argv) {
    guard_standard_descriptors();
    ::signal(SIGPIPE, SIG_IGN);  // a reader that goes away is seen by write
    const std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
    const bool json = std::find(arguments.begin(), arguments.end(), "--json") != arguments.end();
    Output output;
    const Result<int> result = guarded_dispatch(arguments, output);
    if (result.ok()) return *result;
    report_error(result.error(), json);
    return exit_code(result.error().code);
}

}  // namespace puna::cli
