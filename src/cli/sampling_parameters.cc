#include "cli/sampling_parameters.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

#include "base/try.h"

namespace puna::cli {
namespace {

using S = SamplingOptions;

constexpr RealRange any = {.min = 0};
constexpr RealRange share = {.min = 0, .max = 1};
constexpr RealRange positive_share = {.min = 0, .max = 1, .min_excluded = true};
constexpr RealRange positive = {.min = 0, .min_excluded = true};
constexpr RealRange subtracted = {.min = -100, .max = 100};

constexpr SamplingParameter parameters[] = {
    {"temp", "temperature", "X", &S::temperature, any,
     "Temperature; 0 always takes the most probable token (default 0.8)."},
    {"dynatemp-range", "dynatemp_range", "X", &S::dynatemp_range, any,
     "The temperature goes from X under to X over --temp, as the model is sure or not (default 0: off)."},
    {"dynatemp-exp", "dynatemp_exponent", "X", &S::dynatemp_exponent, positive,
     "Exponent of the entropy's share in that (default 1)."},
    {"top-k", "top_k", "K", &S::top_k, {}, "Keep the K most probable tokens; 0 keeps all (default 40)."},
    {"top-p", "top_p", "P", &S::top_p, positive_share,
     "Keep the fewest tokens that reach this probability (default 0.95)."},
    {"min-p", "min_p", "P", &S::min_p, share, "Drop tokens less probable than P times the best (default 0: off)."},
    {"typical", "typical_p", "P", &S::typical_p, positive_share,
     "Keep the tokens nearest to the expected surprise, up to this probability (default 1: off)."},
    {"top-n-sigma", "top_n_sigma", "N", &S::top_n_sigma, any,
     "Keep tokens within N standard deviations of the best logit (default 0: off)."},
    {"xtc-probability", "xtc_probability", "P", &S::xtc_probability, share,
     "How often the top choices but the least probable of them are excluded (default 0: off)."},
    {"xtc-threshold",
     "xtc_threshold",
     "P",
     &S::xtc_threshold,
     {.min = 0, .max = 0.5, .min_excluded = true},
     "Probability that makes a token a top choice (default 0.1)."},
    {"repeat-penalty", "repeat_penalty", "X", &S::repeat_penalty, positive,
     "Make tokens that came before less likely; 1 is off (default 1)."},
    {"frequency-penalty", "frequency_penalty", "X", &S::frequency_penalty, subtracted,
     "Subtract X from a token's logit for each time that it came before (default 0: off)."},
    {"presence-penalty", "presence_penalty", "X", &S::presence_penalty, subtracted,
     "Subtract X once if it came before (default 0: off)."},
    {"repeat-last-n",
     "repeat_last_n",
     "N",
     &S::repeat_last_n,
     {},
     "How many tokens these penalties look back on (default 64)."},
    {"dry-multiplier", "dry_multiplier", "X", &S::dry_multiplier, any,
     "DRY: penalty of a token that would go on with a repetition (default 0: off)."},
    {"dry-base",
     "dry_base",
     "X",
     &S::dry_base,
     {.min = 1},
     "The penalty is X times as large for each token that is repeated more (default 1.75)."},
    {"dry-allowed-length",
     "dry_allowed_length",
     "N",
     &S::dry_allowed_length,
     {.min = 1},
     "Repetitions of up to N tokens cost nothing (default 2)."},
    {"dry-last-n", "dry_last_n", "N", &S::dry_last_n, {}, "How many tokens DRY looks back on; 0 is all (default 0)."},
    {"mirostat",
     "mirostat",
     "V",
     &S::mirostat,
     {.min = 0, .max = 2},
     "Keep the text's surprise where it is wanted; 1 or 2 is the version (default 0: off)."},
    {"mirostat-tau", "mirostat_tau", "X", &S::mirostat_tau, any, "The surprise that is wanted, in bits (default 5)."},
    {"mirostat-eta", "mirostat_eta", "X", &S::mirostat_eta, share, "How fast it is steered to (default 0.1)."},
    {"adaptive-target", "adaptive_target", "P", &S::adaptive_target, share,
     "Favour tokens of a probability near P, and steer their average there (default 0: off)."},
    {"adaptive-decay",
     "adaptive_decay",
     "X",
     &S::adaptive_decay,
     {.min = 0, .max = 0.99},
     "How much of that average each token leaves (default 0.9)."},
};

IntegerRange whole(RealRange range) {
    constexpr double largest = std::numeric_limits<std::uint32_t>::max();
    return {static_cast<std::uint64_t>(range.min), static_cast<std::uint64_t>(std::min(range.max, largest))};
}

}  // namespace

std::string SamplingParameter::show(const SamplingOptions& options) const {
    return std::visit([&](const auto of) { return fmt::format("{}", options.*of); }, member);
}

Json SamplingParameter::json(const SamplingOptions& options) const {
    if (const auto* real = std::get_if<float S::*>(&member)) return nine_digits(options.**real);
    return options.*std::get<std::uint32_t S::*>(member);
}

Result<void> SamplingParameter::set(SamplingOptions& options, std::string_view value) const {
    if (const auto* real = std::get_if<float S::*>(&member)) {
        PUNA_TRY(const double number, parse_real(name, value, range));
        options.** real = static_cast<float>(number);
        return {};
    }
    PUNA_TRY(const std::uint64_t number, parse_integer(name, value, whole(range)));
    options.*std::get<std::uint32_t S::*>(member) = static_cast<std::uint32_t>(number);
    return {};
}

void SamplingParameter::declare(Flags& flags, SamplingOptions& target) const {
    const std::string flag = fmt::format("--{}", name);
    if (const auto* real = std::get_if<float S::*>(&member)) {
        flags.real(flag, std::string(metavar), range, target.**real, std::string(help));
    } else {
        flags.integer(flag, std::string(metavar), whole(range), target.*std::get<std::uint32_t S::*>(member),
                      std::string(help));
    }
}

std::span<const SamplingParameter> sampling_parameters() {
    return parameters;
}

Result<std::vector<SamplingStep>> parse_samplers(std::string_view text) {
    std::vector<std::string_view> names;
    for (const SamplingStep step : all_sampling_steps)
        names.push_back(sampling_step_name(step));
    const auto refuse = [&](std::string message) {
        return Error{ErrorCode::invalid_argument, std::move(message),
                     fmt::format("the steps are {}; name each that is to run once", fmt::join(names, ", "))};
    };
    std::vector<SamplingStep> steps;
    for (const std::string_view name : split_list(text)) {
        const auto found = std::ranges::find(names, name);
        if (found == names.end()) return refuse(fmt::format("samplers: there is no step '{}'", name));
        const SamplingStep step = all_sampling_steps.at(static_cast<std::size_t>(found - names.begin()));
        if (std::ranges::find(steps, step) != steps.end())
            return refuse(fmt::format("samplers: {} is named twice", name));
        steps.push_back(step);
    }
    return steps;
}

std::string samplers_words(const std::vector<SamplingStep>& samplers) {
    if (samplers.empty()) return "default";
    std::vector<std::string_view> names;
    for (const SamplingStep step : samplers)
        names.push_back(sampling_step_name(step));
    return fmt::format("{}", fmt::join(names, ","));
}

std::string left_out_by_mirostat(const SamplingOptions& options) {
    if (options.mirostat == 0 || !options.samplers.empty()) return {};
    return "mirostat cuts by itself: top-k, top-p and the other cuts do not run, unless --samplers names them";
}

}  // namespace puna::cli
