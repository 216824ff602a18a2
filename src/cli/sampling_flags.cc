#include "cli/sampling_flags.h"

#include <fmt/format.h>

#include <limits>

#include "base/try.h"
#include "cli/console.h"

namespace puna::cli {
namespace {

Error usage_error(std::string message, std::string hint) {
    return {ErrorCode::invalid_argument, std::move(message), std::move(hint)};
}

/// Puts the value of a flag over the saved one.
template <typename T>
void replace(const Flags& flags, const std::string& name, const T& value, T& saved) {
    if (!flags.given(name) || value == saved) return;
    note(fmt::format("{} {} takes the place of the session's {}", name, value, saved));
    saved = value;
}

}  // namespace

void SamplingFlags::declare(Flags& flags) {
    flags_ = &flags;
    flags.section("Choosing tokens");
    flags.real("--temp", "X", {}, options_.temperature,
               "Temperature; 0 always takes the most probable token (default 0.8).");
    flags.integer("--top-k", "K", {}, options_.top_k, "Keep the K most probable tokens; 0 keeps all (default 40).");
    flags.real("--top-p", "P", {0, 1, true}, options_.top_p,
               "Keep the fewest tokens that reach this probability (default 0.95).");
    flags.real("--min-p", "P", {0, 1}, options_.min_p,
               "Drop tokens less probable than P times the best (default 0: off).");
    flags.real("--repeat-penalty", "X", {.min = 0, .min_excluded = true}, options_.repeat_penalty,
               "Make tokens that came before less likely; 1 is off (default 1).");
    flags.integer("--repeat-last-n", "N", {}, options_.repeat_last_n,
                  "How many tokens the repeat penalty looks back on (default 64).");
    flags.text("--token-bias", "ID=B,...", token_bias_, "Add B to the logit of token ID; B may be negative.");
    flags.flag("--ignore-eos", options_.ignore_end, "Never choose an end token.");
    flags.integer("--seed", "N", {}, options_.seed, "Same seed, same text (default: drawn at random, and reported).");
}

Result<void> SamplingFlags::check() {
    if (token_bias_) {
        PUNA_TRY(options_.logit_bias, parse_token_bias(*token_bias_));
    }
    return {};
}

SamplingOptions SamplingFlags::over(const SamplingOptions& saved) const {
    SamplingOptions merged = saved;
    const Flags& flags = *flags_;
    replace(flags, "--temp", options_.temperature, merged.temperature);
    replace(flags, "--top-k", options_.top_k, merged.top_k);
    replace(flags, "--top-p", options_.top_p, merged.top_p);
    replace(flags, "--min-p", options_.min_p, merged.min_p);
    replace(flags, "--repeat-penalty", options_.repeat_penalty, merged.repeat_penalty);
    replace(flags, "--repeat-last-n", options_.repeat_last_n, merged.repeat_last_n);
    replace(flags, "--ignore-eos", options_.ignore_end, merged.ignore_end);
    if (options_.seed) {
        std::uint64_t seed = merged.seed.value_or(*options_.seed);
        replace(flags, "--seed", *options_.seed, seed);
        merged.seed = seed;
    }
    if (token_bias_ && options_.logit_bias != merged.logit_bias) {
        note("--token-bias takes the place of the session's");
        merged.logit_bias = options_.logit_bias;
    }
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
