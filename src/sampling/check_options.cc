#include <fmt/format.h>

#include <cmath>

#include "sampling/sampler.h"

namespace puna::sampling {
namespace {

Error out_of_range(std::string_view parameter, double value, std::string_view range, std::string_view hint) {
    return {ErrorCode::invalid_argument, fmt::format("{} is {}, and must be {}", parameter, value, range),
            std::string(hint)};
}

Result<void> check_bias(TokenId id, float bias, std::int64_t vocabulary) {
    if (id < 0 || id >= vocabulary) {
        return Error{ErrorCode::invalid_argument,
                     fmt::format("logit_bias names token {}, and the vocabulary has ids 0 to {}", id, vocabulary - 1),
                     "look the id up with `puna tokenize`"};
    }
    if (std::isnan(bias) || bias == INFINITY) {
        return out_of_range(fmt::format("logit_bias of token {}", id), bias, "a finite number or -inf",
                            "a bias of 100 makes a token all but certain, -inf forbids it");
    }
    return {};
}

}  // namespace

// Comparisons are written so that a NaN fails them.
Result<void> check_options(const SamplingOptions& options, std::int64_t vocabulary) {
    if (!(options.temperature >= 0 && std::isfinite(options.temperature))) {
        return out_of_range("temperature", options.temperature, "finite and at least 0",
                            "0 takes the most probable token each time, 0.8 is a usual value");
    }
    if (!(options.top_p > 0 && options.top_p <= 1)) {
        return out_of_range("top_p", options.top_p, "over 0 and at most 1", "1 turns it off");
    }
    if (!(options.min_p >= 0 && options.min_p <= 1)) {
        return out_of_range("min_p", options.min_p, "from 0 to 1", "0 turns it off");
    }
    if (!(options.repeat_penalty > 0 && std::isfinite(options.repeat_penalty))) {
        return out_of_range("repeat_penalty", options.repeat_penalty, "finite and over 0",
                            "1 turns it off, 1.1 is a usual value");
    }
    for (const auto& [id, bias] : options.logit_bias) {
        if (auto checked = check_bias(id, bias, vocabulary); !checked.ok()) return checked;
    }
    return {};
}

}  // namespace puna::sampling
