// The flags of `puna run`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/compute_flags.h"
#include "cli/flags.h"
#include "cli/prompt_source.h"
#include "puna/request.h"

namespace puna::cli {

struct RunOptions {
    std::optional<std::string> model;
    PromptSource source;
    ComputeFlags compute;
    SamplingOptions sampling;
    std::optional<std::uint32_t> max_tokens;
    std::optional<std::uint32_t> context_tokens;
    std::optional<std::uint32_t> logprobs;
    std::optional<std::string> token_bias;
    std::vector<std::string> stop;
    std::optional<std::string> grammar_file;
    std::optional<std::string> regex;
    std::optional<Constraint> constraint;
    bool float16 = false;
    bool dump_prompt_tokens = false;
    bool echo = false;
    bool special = false;
    bool parse_special = false;
    bool no_bos = false;
    bool json = false;
    // Kept for what is to come; each answers `not_yet`.
    std::optional<std::string> save_session;
    std::optional<std::string> load_session;
    std::optional<std::string> persist_session;
    bool repl = false;

    void declare(Flags& flags);
    /// What flags say together; fills `sampling.logit_bias`, the KV type and the constraint, whose file it reads.
    /// Errors: invalid_argument, not_yet, and those of reading a file.
    Result<void> check();
    Request request(std::string prompt) const;
};

/// "ID=B,ID=B": added to the logits of these tokens. Errors: invalid_argument.
Result<std::map<TokenId, float>> parse_token_bias(std::string_view text);

}  // namespace puna::cli
