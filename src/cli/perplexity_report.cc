#include "cli/perplexity_report.h"

#include <fmt/format.h>

namespace puna::cli {
namespace {

using convert::Divergence;
using convert::Estimate;
using convert::Percentiles;
using convert::percents;

std::string percent_name(double percent) {
    return fmt::format("{:g}", percent);
}

std::string percentile_words(double percent) {
    if (percent == 0) return "least";
    if (percent == 50) return "median";
    if (percent == 100) return "largest";
    return percent_name(percent) + " %";
}

Json estimate_json(std::string_view name, const Estimate& estimate) {
    return {{std::string(name), nine_digits(estimate.value)}, {"standard_error", nine_digits(estimate.error)}};
}

Json percentiles_json(const Percentiles& values) {
    Json json = Json::object();
    for (std::size_t i = 0; i < percents.size(); ++i)
        json[percent_name(percents[i])] = nine_digits(values[i]);
    return json;
}

Json divergence_json(const Divergence& divergence) {
    Json json = estimate_json("mean", divergence.mean);
    json["p99"] = nine_digits(divergence.kl[convert::percentile_index(99)]);
    json["percentiles"] = percentiles_json(divergence.kl);
    json["same_top"] = nine_digits(divergence.same_top.value);
    json["same_top_error"] = nine_digits(divergence.same_top.error);
    json["reference"] = estimate_json("perplexity", divergence.reference);
    json["log_ratio"] = estimate_json("mean", divergence.log_ratio);
    json["correlation"] = nine_digits(divergence.correlation);
    json["p_change"] = estimate_json("mean", divergence.p_change);
    json["p_change"]["rms"] = nine_digits(divergence.p_change_rms.value);
    json["p_change"]["rms_error"] = nine_digits(divergence.p_change_rms.error);
    json["p_change"]["percentiles"] = percentiles_json(divergence.p_changes);
    return json;
}

std::string divergence_text(const Divergence& divergence, std::string_view reference) {
    std::string text = fmt::format("compared with {}\n", reference);
    const auto row = [&](std::string_view name, const std::string& value) {
        text += fmt::format("  {:<24}{}\n", name, value);
    };
    const auto in_percent = [](const Estimate& share) {
        return fmt::format("{:.3f} +/- {:.3f} %", 100 * share.value, 100 * share.error);
    };
    row("its perplexity", fmt::format("{:.4f} +/- {:.4f}", divergence.reference.value, divergence.reference.error));
    row("ln of the ratio", fmt::format("{:.6f} +/- {:.6f}, correlation {:.2f} %", divergence.log_ratio.value,
                                       divergence.log_ratio.error, 100 * divergence.correlation));
    row("mean KL", fmt::format("{:.8f} +/- {:.8f} nats", divergence.mean.value, divergence.mean.error));
    row("same first choice", in_percent(divergence.same_top));
    row("mean change of p", in_percent(divergence.p_change));
    row("RMS change of p", in_percent(divergence.p_change_rms));
    text += fmt::format("  {:<12}{:>14}{:>16}\n", "percentile", "KL", "change of p");
    for (std::size_t i = percents.size(); i-- > 0;) {
        text += fmt::format("  {:<12}{:>14.8f}{:>14.3f} %\n", percentile_words(percents[i]), divergence.kl[i],
                            100 * divergence.p_changes[i]);
    }
    return text;
}

}  // namespace

std::string perplexity_text(const convert::PerplexityResult& result, std::string_view reference) {
    std::string text = fmt::format("perplexity {:.4f} +/- {:.4f} ({} tokens of {} chunks)\n", result.perplexity,
                                   result.standard_error, result.tokens_scored, result.chunks);
    if (result.divergence) text += divergence_text(*result.divergence, reference);
    return text;
}

Json perplexity_json(const convert::PerplexityResult& result) {
    Json json = {{"perplexity", result.perplexity},
                 {"standard_error", result.standard_error},
                 {"tokens_scored", result.tokens_scored},
                 {"chunks", result.chunks}};
    if (result.divergence) json["kl"] = divergence_json(*result.divergence);
    return json;
}

}  // namespace puna::cli
