// puna run --repl: turns of plain text, one after another in one session.
#pragma once

#include <string>

#include "cli/console.h"
#include "cli/run_options.h"
#include "puna/error.h"

namespace puna::cli {

/// Reads lines until they end: from the terminal, with a prompt and editing, or from a pipe. `options` have been
/// checked. Errors: those of the model and the engine; from a pipe, also those of a turn.
Result<int> run_repl(const RunOptions& options, const std::string& model_path, Output& output);

}  // namespace puna::cli
