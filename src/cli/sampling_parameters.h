// The numbers that sampling is told, each once: what flags, /set and JSON call them, and what they may be.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "cli/console.h"
#include "cli/flags.h"
#include "puna/error.h"
#include "puna/request.h"

namespace puna::cli {

struct SamplingParameter {
    std::string_view name;  ///< of the flag, without its dashes, and of /set
    std::string_view key;   ///< in JSON, and in the errors of the library
    std::string_view metavar;
    std::variant<float SamplingOptions::*, std::uint32_t SamplingOptions::*> member;
    RealRange range;
    std::string_view help;

    std::string show(const SamplingOptions& options) const;
    Json json(const SamplingOptions& options) const;
    /// Reads `value` into `options`. Errors: invalid_argument, with what it takes.
    Result<void> set(SamplingOptions& options, std::string_view value) const;
    void declare(Flags& flags, SamplingOptions& target) const;
};

/// In the order of the help.
std::span<const SamplingParameter> sampling_parameters();

/// "top-k,top-p": steps in their order. Errors: invalid_argument, with the names that there are.
Result<std::vector<SamplingStep>> parse_samplers(std::string_view text);
/// "top-k,top-p" again; "default" if there are none.
std::string samplers_words(const std::vector<SamplingStep>& samplers);

/// What the choice by mirostat leaves out of the usual steps, as a sentence; empty if nothing.
std::string left_out_by_mirostat(const SamplingOptions& options);

}  // namespace puna::cli
