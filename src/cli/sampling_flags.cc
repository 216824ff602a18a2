#include "cli/sampling_flags.h"

#include <fmt/format.h>

#include <limits>

#include "base/try.h"
#include "cli/console.h"
#include "cli/sampling_parameters.h"

namespace puna::cli {
void SamplingFlags::declare(Flags& flags) {
    flags_ = &flags;
    flags.section("Choosing tokens");
    for (const SamplingParameter& parameter : sampling_parameters())
        parameter.declare(flags, options_);
    flags.texts("--dry-breaker", "TEXT", dry_breakers_,
                "No repetition reaches over a token that holds TEXT; may be given several times, 'none' for none "
                "(default: a line break, ':', '\"' and '*').");
    flags.text("--samplers", "STEP,...", samplers_,
               fmt::format("The steps that run, in this order (default: {}).",
                           samplers_words({all_sampling_steps.begin(), all_sampling_steps.end()})));
    flags.text("--token-bias", "ID=B,...", token_bias_, "Add B to the logit of token ID; B may be negative.");
    flags.flag("--ignore-eos", options_.ignore_end, "Never choose an end token.");
    flags.integer("--seed", "N", {}, options_.seed, "Same seed, same text (default: drawn at random, and reported).");
}

Result<void> SamplingFlags::check() {
    if (token_bias_) {
        PUNA_TRY(options_.logit_bias, parse_token_bias(*token_bias_));
    }
    if (samplers_) {
        PUNA_TRY(options_.samplers, parse_samplers(*samplers_));
    }
    if (!dry_breakers_.empty()) {
        options_.dry_breakers = dry_breakers_;
        if (dry_breakers_ == std::vector<std::string>{"none"}) options_.dry_breakers.clear();
    }
    PUNA_CHECK(check_ignored(options_));
    if (const std::string left_out = left_out_by_mirostat(options_); !left_out.empty()) note(left_out);
    return {};
}

/// What the library cannot know: that a parameter was given, though it has its default's value.
Result<void> SamplingFlags::check_ignored(const SamplingOptions& options) const {
    if (options.mirostat == 0 || !options.samplers.empty()) return {};
    for (const char* const flag : {"--top-k", "--top-p"}) {
        if (!flags_->given(flag)) continue;
        return usage_error(fmt::format("{} is given, and mirostat cuts by itself", flag),
                           "leave it away, or name it in --samplers to have both");
    }
    return {};
}

Result<SamplingOptions> SamplingFlags::over(const SamplingOptions& saved) const {
    SamplingOptions merged = saved;
    const auto report = [](std::string_view flag, std::string_view value, std::string_view replaced) {
        note(fmt::format("{} {} takes the place of the session's {}", flag, value, replaced));
    };
    for (const SamplingParameter& parameter : sampling_parameters()) {
        const std::string flag = fmt::format("--{}", parameter.name);
        if (!flags_->given(flag)) continue;
        if (parameter.show(options_) != parameter.show(merged))
            report(flag, parameter.show(options_), parameter.show(merged));
        std::visit([&](const auto member) { merged.*member = options_.*member; }, parameter.member);
    }
    if (options_.ignore_end && !merged.ignore_end) report("--ignore-eos", "true", "false");
    merged.ignore_end = merged.ignore_end || options_.ignore_end;
    if (options_.seed) {
        const std::uint64_t seed = merged.seed.value_or(*options_.seed);
        if (seed != *options_.seed) report("--seed", std::to_string(*options_.seed), std::to_string(seed));
        merged.seed = options_.seed;
    }
    if (samplers_) {
        if (options_.samplers != merged.samplers)
            report("--samplers", samplers_words(options_.samplers), samplers_words(merged.samplers));
        merged.samplers = options_.samplers;
    }
    if (!dry_breakers_.empty() && options_.dry_breakers != merged.dry_breakers) {
        note("--dry-breaker takes the place of the session's");
        merged.dry_breakers = options_.dry_breakers;
    }
    if (token_bias_ && options_.logit_bias != merged.logit_bias) {
        note("--token-bias takes the place of the session's");
        merged.logit_bias = options_.logit_bias;
    }
    PUNA_CHECK(check_ignored(merged));
    return merged;
}

Result<std::map<TokenId, float>> parse_token_bias(std::string_view text) {
    constexpr std::uint64_t largest_id = std::numeric_limits<TokenId>::max();
    constexpr double largest_bias = std::numeric_limits<float>::max();
    std::map<TokenId, float> biases;
    for (const std::string_view piece : split_list(text)) {
        const std::size_t equals = piece.find('=');
        if (equals == std::string_view::npos) {
            return usage_error(fmt::format("--token-bias takes ID=B,ID=B, not '{}'", piece),
                               "for example --token-bias 2=-5,40=1.5");
        }
        PUNA_TRY(const std::uint64_t id,
                 parse_integer("the token id of --token-bias", piece.substr(0, equals), {0, largest_id}));
        PUNA_TRY(const double bias, parse_real("the bias of --token-bias", piece.substr(equals + 1),
                                               {.min = -largest_bias, .max = largest_bias}));
        if (!biases.emplace(static_cast<TokenId>(id), static_cast<float>(bias)).second) {
            return usage_error(fmt::format("--token-bias names token {} twice", id), "give each token once");
        }
    }
    return biases;
}

}  // namespace puna::cli
