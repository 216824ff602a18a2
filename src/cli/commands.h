// The subcommands, and the way from the command line to one of them.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/console.h"
#include "cli/flags.h"
#include "puna/error.h"

namespace puna::cli {

/// One subcommand: its flags, and what it does. Used once.
class Command {
  public:
    virtual ~Command() = default;
    /// Tells `flags` about the command's flags; values are filled by Flags::parse.
    virtual void declare(Flags& flags) = 0;
    /// Does the work and returns the exit code. Runs after the flags are parsed.
    virtual Result<int> execute(Output& output) = 0;
};

std::unique_ptr<Command> make_run_command();
std::unique_ptr<Command> make_chat_command();
std::unique_ptr<Command> make_list_command();
std::unique_ptr<Command> make_show_command();
std::unique_ptr<Command> make_tokenize_command();
std::unique_ptr<Command> make_verify_command();
std::unique_ptr<Command> make_diff_command();
std::unique_ptr<Command> make_perplexity_command();
std::unique_ptr<Command> make_bench_command();
std::unique_ptr<Command> make_convert_command();
std::unique_ptr<Command> make_quantize_command();
std::unique_ptr<Command> make_imatrix_command();
std::unique_ptr<Command> make_split_command();
std::unique_ptr<Command> make_merge_command();
std::unique_ptr<Command> make_session_command();
std::unique_ptr<Command> make_doctor_command();

/// Everything between main's arguments and its exit code. Never throws; ignores SIGPIPE for the whole process.
int run_command_line(int argc, const char* const* argv);

}  // namespace puna::cli
