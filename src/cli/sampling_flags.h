// The flags that say how tokens are chosen; the same for every subcommand that generates.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/flags.h"
#include "puna/error.h"
#include "puna/request.h"

namespace puna::cli {

/// `flags` must outlive it.
class SamplingFlags {
  public:
    void declare(Flags& flags);
    /// Fills what is a list: the logit bias, the steps, the breakers. Errors: invalid_argument.
    Result<void> check();
    const SamplingOptions& options() const { return options_; }
    /// A session's parameters, but where a flag was given: the flag wins, and where that changes something, a line on
    /// stderr says so. Errors: invalid_argument, for a flag that the session's parameters make idle.
    Result<SamplingOptions> over(const SamplingOptions& saved) const;

  private:
    Result<void> check_ignored(const SamplingOptions& options) const;

    SamplingOptions options_;
    std::optional<std::string> token_bias_;
    std::optional<std::string> samplers_;
    std::vector<std::string> dry_breakers_;
    const Flags* flags_ = nullptr;
};

/// "ID=B,ID=B": added to the logits of these tokens. Errors: invalid_argument.
Result<std::map<TokenId, float>> parse_token_bias(std::string_view text);

}  // namespace puna::cli
