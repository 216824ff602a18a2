// The flags of `puna run`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/compute_flags.h"
#include "cli/constraint_flags.h"
#include "cli/flags.h"
#include "cli/legacy_flags.h"
#include "cli/prompt_source.h"
#include "cli/sampling_flags.h"
#include "cli/session_flags.h"
#include "puna/request.h"

namespace puna::cli {

struct RunOptions {
    std::optional<std::string> model;
    PromptSource source;
    ComputeFlags compute;
    LegacyFlags legacy;
    SamplingFlags sampling;
    SessionFlags session;
    std::optional<std::uint32_t> max_tokens;
    std::optional<std::uint32_t> context_tokens;
    std::optional<std::uint32_t> logprobs;
    std::vector<std::string> stop;
    ConstraintFlags constraint_flags;
    std::optional<Constraint> constraint;
    bool float16 = false;
    bool dump_prompt_tokens = false;
    bool echo = false;
    bool special = false;
    bool parse_special = false;
    bool no_bos = false;
    bool json = false;
    bool repl = false;
    std::string when_full = "error";  // of --repl

    void declare(Flags& flags);
    /// What flags say together; fills the logit bias, the KV type and the constraint, whose file it reads.
    /// Errors: invalid_argument, and those of reading a file.
    Result<void> check();
    Request request(std::string prompt) const;
};

}  // namespace puna::cli
