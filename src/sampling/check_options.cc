#include "sampling/check_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>

#include "base/try.h"
#include "sampling/dry.h"
#include "sampling/penalties.h"

namespace puna::sampling {
namespace {

constexpr float largest_float = std::numeric_limits<float>::max();
constexpr float largest_penalty = 100;

Error invalid(std::string message, std::string_view hint) {
    return {ErrorCode::invalid_argument, std::move(message), std::string(hint)};
}

Error out_of_range(std::string_view parameter, double value, std::string_view range, std::string_view hint) {
    return invalid(fmt::format("{} is {}, and must be {}", parameter, value, range), hint);
}

struct Range {
    std::string_view parameter;
    float value;
    float least;
    float most;
    bool least_excluded;
    std::string_view hint;

    /// Written so that a NaN is outside.
    bool holds() const { return value >= least && value <= most && !(least_excluded && value == least); }
    std::string words() const {
        if (most == largest_float)
            return least_excluded ? fmt::format("finite and over {}", least)
                                  : fmt::format("finite and at least {}", least);
        if (least_excluded) return fmt::format("over {} and at most {}", least, most);
        return fmt::format("from {} to {}", least, most);
    }
};

Result<void> check_ranges(const SamplingOptions& o) {
    const Range ranges[] = {
        {"temperature", o.temperature, 0, largest_float, false,
         "0 takes the most probable token each time, 0.8 is a usual value"},
        {"dynatemp_exponent", o.dynatemp_exponent, 0, largest_float, true, "1 is a usual value"},
        {"top_p", o.top_p, 0, 1, true, "1 turns it off"},
        {"min_p", o.min_p, 0, 1, false, "0 turns it off"},
        {"typical_p", o.typical_p, 0, 1, true, "1 turns it off, 0.95 is a usual value"},
        {"top_n_sigma", o.top_n_sigma, 0, largest_float, false, "0 turns it off, 1 is a usual value"},
        {"xtc_probability", o.xtc_probability, 0, 1, false, "0 turns it off, 0.5 is a usual value"},
        {"xtc_threshold", o.xtc_threshold, 0, 0.5F, true,
         "over 0.5 there are never two such tokens; 0.1 is a usual value"},
        {"repeat_penalty", o.repeat_penalty, 0, largest_float, true, "1 turns it off, 1.1 is a usual value"},
        {"frequency_penalty", o.frequency_penalty, -largest_penalty, largest_penalty, false, "0 turns it off"},
        {"presence_penalty", o.presence_penalty, -largest_penalty, largest_penalty, false, "0 turns it off"},
        {"dry_multiplier", o.dry_multiplier, 0, largest_float, false, "0 turns it off, 0.8 is a usual value"},
        {"dry_base", o.dry_base, 1, largest_float, false, "1.75 is a usual value"},
        {"mirostat_tau", o.mirostat_tau, 0, largest_float, false, "5 bits is a usual value"},
        {"mirostat_eta", o.mirostat_eta, 0, 1, false, "0.1 is a usual value"},
        {"adaptive_target", o.adaptive_target, 0, 1, false, "0 turns it off, 0.5 is a usual value"},
        {"adaptive_decay", o.adaptive_decay, 0, 0.99F, false, "0.9 is a usual value"},
    };
    for (const Range& range : ranges) {
        if (!range.holds()) return out_of_range(range.parameter, range.value, range.words(), range.hint);
    }
    if (!(o.dynatemp_range >= 0 && o.dynatemp_range <= o.temperature)) {
        return out_of_range("dynatemp_range", o.dynatemp_range,
                            fmt::format("from 0 to the temperature, {}", o.temperature), "0 turns it off");
    }
    if (o.mirostat > 2) return out_of_range("mirostat", o.mirostat, "0, 1 or 2", "0 turns it off");
    if (o.dry_allowed_length == 0) return out_of_range("dry_allowed_length", 0, "at least 1", "2 is a usual value");
    if (std::ranges::find(o.dry_breakers, std::string()) != o.dry_breakers.end())
        return invalid("one of dry_breakers is empty", "leave it out; without any, repetitions may reach over all");
    return {};
}

Result<void> check_bias(TokenId id, float bias, std::int64_t vocabulary) {
    if (id < 0 || id >= vocabulary) {
        return invalid(fmt::format("logit_bias names token {}, and the vocabulary has ids 0 to {}", id, vocabulary - 1),
                       "look the id up with `puna tokenize`");
    }
    if (std::isnan(bias) || bias == INFINITY) {
        return out_of_range(fmt::format("logit_bias of token {}", id), bias, "a finite number or -inf",
                            "a bias of 100 makes a token all but certain, -inf forbids it");
    }
    return {};
}

Result<void> check_order(const SamplingOptions& options) {
    for (auto step = options.samplers.begin(); step != options.samplers.end(); ++step) {
        if (std::ranges::find(all_sampling_steps, *step) == all_sampling_steps.end())
            return invalid(fmt::format("samplers holds a step of number {}", static_cast<int>(*step)),
                           "take those of all_sampling_steps");
        if (std::find(options.samplers.begin(), step, *step) != step)
            return invalid(fmt::format("samplers names {} twice", sampling_step_name(*step)), "name each step once");
    }
    return {};
}

/// Whether the step's parameters are what they are when nobody sets them.
bool is_default(SamplingStep step, const SamplingOptions& o) {
    const SamplingOptions d;
    switch (step) {
        case SamplingStep::top_k: return o.top_k == d.top_k;
        case SamplingStep::top_p: return o.top_p == d.top_p;
        case SamplingStep::temperature: return o.temperature == d.temperature && o.dynatemp_range == d.dynatemp_range;
        default: return !is_on(step, o);  // off is their default
    }
}

/// The parameter by which the step is turned on, for messages.
std::string parameter_of(SamplingStep step, const SamplingOptions& o) {
    switch (step) {
        case SamplingStep::penalties:
            if (o.repeat_penalty != 1) return fmt::format("repeat_penalty is {}", o.repeat_penalty);
            if (o.frequency_penalty != 0) return fmt::format("frequency_penalty is {}", o.frequency_penalty);
            return fmt::format("presence_penalty is {}", o.presence_penalty);
        case SamplingStep::dry: return fmt::format("dry_multiplier is {}", o.dry_multiplier);
        case SamplingStep::top_n_sigma: return fmt::format("top_n_sigma is {}", o.top_n_sigma);
        case SamplingStep::top_k: return fmt::format("top_k is {}", o.top_k);
        case SamplingStep::typical: return fmt::format("typical_p is {}", o.typical_p);
        case SamplingStep::top_p: return fmt::format("top_p is {}", o.top_p);
        case SamplingStep::min_p: return fmt::format("min_p is {}", o.min_p);
        case SamplingStep::xtc: return fmt::format("xtc_probability is {}", o.xtc_probability);
        case SamplingStep::temperature:
            if (o.dynatemp_range != 0) return fmt::format("dynatemp_range is {}", o.dynatemp_range);
            return fmt::format("temperature is {}", o.temperature);
    }
    return {};
}

/// A parameter of a step that does not run would be ignored.
Result<void> check_steps_that_do_not_run(const SamplingOptions& options) {
    const std::vector<SamplingStep> steps = steps_of(options);
    for (const SamplingStep step : all_sampling_steps) {
        const bool runs = std::ranges::find(steps, step) != steps.end();
        if (runs || is_default(step, options) || !is_on(step, options)) continue;
        const std::string parameter = parameter_of(step, options);
        if (options.samplers.empty()) {
            return invalid(fmt::format("{}, and mirostat, which cuts by itself, leaves {} out", parameter,
                                       sampling_step_name(step)),
                           "turn one of them off, or name the steps that are to run before it by samplers");
        }
        return invalid(fmt::format("{}, and samplers leaves {} out", parameter, sampling_step_name(step)),
                       "add it to samplers, or leave the parameter away");
    }
    return {};
}

/// Choices that exclude each other.
Result<void> check_choice(const SamplingOptions& options) {
    if (options.mirostat != 0 && options.adaptive_target > 0)
        return invalid("mirostat and adaptive_target are both set, and each chooses the token", "set one of them");
    if (options.temperature != 0) return {};
    const auto refuse = [](std::string_view parameter) {
        return invalid(fmt::format("temperature 0 takes the most probable token, and {} would be ignored", parameter),
                       "set a temperature, or leave the other parameter away");
    };
    if (options.mirostat != 0) return refuse("mirostat");
    if (options.adaptive_target > 0) return refuse("adaptive_target");
    if (options.xtc_probability > 0) return refuse("xtc_probability");
    if (options.typical_p < 1) return refuse("typical_p");
    return {};
}

}  // namespace

std::vector<SamplingStep> steps_of(const SamplingOptions& options) {
    if (!options.samplers.empty()) return options.samplers;
    if (options.mirostat != 0) return {SamplingStep::penalties, SamplingStep::dry, SamplingStep::temperature};
    return {all_sampling_steps.begin(), all_sampling_steps.end()};
}

bool is_on(SamplingStep step, const SamplingOptions& options) {
    switch (step) {
        case SamplingStep::penalties: return Penalties::is_on(options);
        case SamplingStep::dry: return Dry::is_on(options);
        case SamplingStep::top_n_sigma: return options.top_n_sigma > 0;
        case SamplingStep::top_k: return options.top_k != 0;
        case SamplingStep::typical: return options.typical_p < 1;
        case SamplingStep::top_p: return options.top_p < 1;
        case SamplingStep::min_p: return options.min_p > 0;
        case SamplingStep::xtc: return options.xtc_probability > 0;
        case SamplingStep::temperature: return options.temperature != 1 || options.dynatemp_range > 0;
    }
    return false;
}

Result<void> check_options(const SamplingOptions& options, std::int64_t vocabulary) {
    PUNA_CHECK(check_ranges(options));
    for (const auto& [id, bias] : options.logit_bias)
        PUNA_CHECK(check_bias(id, bias, vocabulary));
    PUNA_CHECK(check_order(options));
    PUNA_CHECK(check_choice(options));
    return check_steps_that_do_not_run(options);
}

Result<void> check_state(const SamplerState& state) {
    const bool sound = (!state.mirostat_mu || std::isfinite(*state.mirostat_mu)) && std::isfinite(state.adaptive_sum) &&
                       std::isfinite(state.adaptive_weight) && state.adaptive_weight >= 0;
    if (sound) return {};
    return invalid("sampler_state holds a number that no sampler leaves behind", "pass on what Finished brought");
}

}  // namespace puna::sampling
