#include "cli/rewrite_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <tuple>

#include "base/cpu.h"
#include "base/thread_pool.h"
#include "base/try.h"
#include "cli/exit_code.h"
#include "cli/progress_line.h"
#include "cli/target_file.h"
#include "cli/tensor_words.h"
#include "cli/units.h"
#include "formats/imatrix.h"
#include "formats/printable.h"
#include "store/models.h"

namespace puna::cli {
namespace {

using convert::PlannedTensor;
using convert::QuantizePlan;
using formats::Imatrix;

Result<const convert::Mix*> parse_mix(const std::string& name) {
    if (const convert::Mix* mix = convert::find_mix(name)) return mix;
    return Error{ErrorCode::invalid_argument, fmt::format("'{}' is no type that puna writes", name),
                 fmt::format("types are {}", mix_names())};
}

/// "GLOB=TYPE"; the type behind the last '='.
Result<convert::TypeOverride> parse_override(const std::string& text) {
    const std::size_t equals = text.rfind('=');
    if (equals == std::string::npos || equals == 0) {
        return Error{ErrorCode::invalid_argument, fmt::format("--tensor-type takes GLOB=TYPE, not '{}'", text),
                     "for example --tensor-type 'blk.*.ffn_down.weight=Q6_K'"};
    }
    const std::string name = text.substr(equals + 1);
    const quant::TypeInfo* type = quant::find_type(name);
    if (type == nullptr || type->from_float == nullptr) {
        return Error{ErrorCode::invalid_argument,
                     fmt::format("--tensor-type: '{}' is no tensor type that puna writes", name),
                     "mixes such as Q4_K_M are for whole models; a tensor takes one type, such as Q4_K"};
    }
    return convert::TypeOverride{text.substr(0, equals), type->type};
}

// ---- The talk ----

/// Tensors that could not have the type that was meant for them.
struct Fallback {
    quant::TensorType wanted;
    quant::TensorType type;
    std::uint64_t row_elements;
    std::uint64_t tensors = 0;
};

std::vector<Fallback> fallbacks(const QuantizePlan& plan) {
    std::map<std::tuple<quant::TensorType, quant::TensorType, std::uint64_t>, std::uint64_t> counts;
    for (const PlannedTensor& tensor : plan.tensors) {
        if (tensor.wanted != tensor.type) ++counts[{tensor.wanted, tensor.type, tensor.source->shape.back()}];
    }
    std::vector<Fallback> all;
    for (const auto& [key, count] : counts)
        all.push_back({std::get<0>(key), std::get<1>(key), std::get<2>(key), count});
    return all;
}

void report_importance(const QuantizePlan& plan) {
    if (plan.imatrix == nullptr) return;
    const auto missing = std::count_if(plan.tensors.begin(), plan.tensors.end(),
                                       [](const PlannedTensor& tensor) { return tensor.misses_importance; });
    if (missing == 0) return;
    note(fmt::format(
        "the importance matrix knows nothing of {} {} (such as '{}'), whose weights count all the same", missing,
        missing == 1 ? "tensor" : "tensors",
        formats::printable(std::find_if(plan.tensors.begin(), plan.tensors.end(), [](const PlannedTensor& t) {
                               return t.misses_importance;
                           })->source->name)));
}

/// Of a plan alone: the work itself tells by its end.
void report_unjudged(const QuantizePlan& plan) {
    const auto count = std::count_if(plan.tensors.begin(), plan.tensors.end(),
                                     [](const PlannedTensor& tensor) { return tensor.judged_by_values; });
    if (count == 0) return;
    note(fmt::format(
        "whether {} {} every value, as --exact asks, is seen when the values are read, and not by a dry run", count,
        count == 1 ? "tensor keeps" : "tensors keep"));
}

/// So few bits go to what counts, or much is lost.
void report_coarse_types(const QuantizePlan& plan) {
    if (plan.imatrix != nullptr) return;
    const auto coarse = std::count_if(plan.tensors.begin(), plan.tensors.end(), [](const PlannedTensor& tensor) {
        const quant::TypeInfo& type = quant::type_info(tensor.type);
        const bool is_coarse = std::uint64_t{8} * type.block_bytes < std::uint64_t{3} * type.block_elements;
        return tensor.type != tensor.source->type && type.from_important != nullptr && is_coarse;
    });
    if (coarse == 0) return;
    note(fmt::format(
        "{} {} under 3 bits a weight, and nothing says which weights count: the model will suffer much. 'puna imatrix' "
        "makes an importance matrix for --imatrix",
        coarse, coarse == 1 ? "tensor gets" : "tensors get"));
}

void report_fallbacks(const QuantizePlan& plan) {
    for (const Fallback& fallback : fallbacks(plan)) {
        note(fmt::format("{} {} {} in place of {}: rows of {} elements are no whole number of its blocks of {}",
                         fallback.tensors, fallback.tensors == 1 ? "tensor becomes" : "tensors become",
                         type_name(fallback.type), type_name(fallback.wanted), fallback.row_elements,
                         quant::type_info(fallback.wanted).block_elements));
    }
}

// ---- The answer ----

double bits_per_weight(const QuantizePlan& plan) {
    std::uint64_t bytes = 0;
    std::uint64_t elements = 0;
    for (const PlannedTensor& tensor : plan.tensors) {
        bytes += tensor.bytes;
        elements += tensor.source->elements();
    }
    return elements == 0 ? 0.0 : 8.0 * static_cast<double>(bytes) / static_cast<double>(elements);
}

std::string total_words(const QuantizePlan& plan) {
    return fmt::format("{} from {}, {:.2f} bits per weight", bytes_words(plan.file_bytes()),
                       bytes_words(plan.source->file_bytes), bits_per_weight(plan));
}

std::string plan_table(const QuantizePlan& plan) {
    std::size_t width = 0;
    for (const PlannedTensor& tensor : plan.tensors)
        width = std::max(width, formats::printable(tensor.source->name).size());
    std::string table;
    for (const PlannedTensor& tensor : plan.tensors) {
        const std::string change =
            tensor.type == tensor.source->type
                ? std::string(type_name(tensor.type))
                : fmt::format("{} -> {}", type_name(tensor.source->type), type_name(tensor.type));
        const std::string instead =
            tensor.wanted == tensor.type ? "" : fmt::format("  in place of {}", type_name(tensor.wanted));
        table += fmt::format("{:<{}}  {:<14}  {:>10}  {}{}{}\n", formats::printable(tensor.source->name), width,
                             shape_words(tensor.source->shape), bytes_words(tensor.bytes), change, instead,
                             tensor.judged_by_values ? "  if that keeps every value" : "");
    }
    return table + total_words(plan) + "\n";
}

Json summary(const QuantizePlan& plan) {
    Json types = Json::object();
    std::map<std::string_view, std::pair<std::uint64_t, std::uint64_t>> shares;  // tensors, bytes
    for (const PlannedTensor& tensor : plan.tensors) {
        auto& [tensors, bytes] = shares[type_name(tensor.type)];
        ++tensors;
        bytes += tensor.bytes;
    }
    for (const auto& [name, share] : shares)
        types[std::string(name)] = {{"tensors", share.first}, {"bytes", share.second}};
    Json instead = Json::array();
    for (const Fallback& fallback : fallbacks(plan)) {
        instead.push_back({{"wanted", type_name(fallback.wanted)},
                           {"type", type_name(fallback.type)},
                           {"row_elements", fallback.row_elements},
                           {"tensors", fallback.tensors}});
    }
    return {{"input_bytes", plan.source->file_bytes},
            {"output_bytes", plan.file_bytes()},
            {"bits_per_weight", bits_per_weight(plan)},
            {"types", types},
            {"fallbacks", instead},
            {"by_importance", std::count_if(plan.tensors.begin(), plan.tensors.end(),
                                            [](const PlannedTensor& tensor) { return tensor.importance != nullptr; })}};
}

Json plan_json(const QuantizePlan& plan) {
    Json json = summary(plan);
    Json tensors = Json::array();
    for (const PlannedTensor& tensor : plan.tensors) {
        tensors.push_back({{"name", tensor.source->name},
                           {"shape", tensor.source->shape},
                           {"from", type_name(tensor.source->type)},
                           {"to", type_name(tensor.type)},
                           {"judged_by_values", tensor.judged_by_values},
                           {"bytes", tensor.bytes}});
    }
    json["tensors"] = std::move(tensors);
    return json;
}

Result<void> check_sharded(const formats::ModelFile& model) {
    const bool several = model.mappings.size() > 1 || model.metadata.find("split.count") != nullptr;  // or one of one
    if (model.dialect == formats::Dialect::gguf && several) return {};
    return Error{ErrorCode::invalid_argument,
                 fmt::format("{} is no GGUF model in several files", formats::printable_path(model.path)),
                 "'puna convert' turns other models into one GGUF file"};
}

/// A model in one file may be replaced by what is made of it; of one in several, or of a folder, nothing may.
Result<void> check_not_a_part(const formats::ModelFile& model, const std::string& input, const std::string& output) {
    std::error_code ignored;
    if (!model.has_file(output)) return {};
    if (model.mappings.size() == 1 && std::filesystem::equivalent(input, output, ignored)) return {};
    return Error{ErrorCode::invalid_argument,
                 fmt::format("{} is a part of the model that is read", formats::printable_path(output)),
                 "choose another name for the new file"};
}

}  // namespace

std::string mix_names() {
    std::string names;
    for (const convert::Mix& mix : convert::all_mixes())
        names += fmt::format("{}{}", names.empty() ? "" : ", ", mix.name);
    return names;
}

void RewriteModel::declare_files(Flags& flags) {
    flags.positional("IN", input_,
                     "The model: a file in GGUF or a format before it, a folder of Hugging Face's or Meta's, or a file "
                     "of weights in one (safetensors, PyTorch); of several files any one. Or a name that 'puna list' "
                     "shows.");
    flags.positional("OUT", output_, "The file to write.");
}

void RewriteModel::declare_merge(Flags& flags) {
    shards_only_ = true;
    flags.positional("FIRST", input_, "Any file of the model.");
    flags.positional("OUT", output_, "The GGUF file to write.");
    declare_work(flags);
}

void RewriteModel::declare(Flags& flags) {
    flags.section("Types");
    flags.texts("--tensor-type", "GLOB=TYPE", tensor_types_,
                "Give TYPE to the tensors whose names match GLOB (* and ? stand for characters). May be repeated; the "
                "last that matches decides.");
    flags.flag("--pure", pure_, "All matrices in one type: no exceptions for those that matter more.");
    flags.text("--imatrix", "FILE", imatrix_,
               "Choose codes so that the weights that matter most lose least: an importance matrix, as 'puna imatrix' "
               "or llama-imatrix makes it.");
    flags.flag("--allow-requantize", allow_requantize_,
               "Quantize weights that are quantized already, at the loss of both.");
    flags.flag("--exact", exact_, "Every weight keeps its value, or nothing is written.");
    legacy_.declare(flags);
    declare_work(flags);
}

void RewriteModel::declare_work(Flags& flags) {
    flags.section("Work");
    flags.flag("--dry-run", dry_run_, "Print the plan, and write nothing.");
    flags.flag("--force", force_, "Replace OUT if it exists.");
    flags.integer("-t,--num-threads", "N", {1, 1024}, threads_,
                  "Threads (default: the cores that this process may use). The file is the same for any number.");
    flags.section("Output");
    flags.flag("--json", json_, "Print one JSON object.");
}

Result<convert::QuantizeOptions> RewriteModel::options(const std::optional<std::string>& type) const {
    convert::QuantizeOptions options;
    if (type) {
        PUNA_TRY(options.mix, parse_mix(*type));
    } else if (pure_) {
        return Error{ErrorCode::invalid_argument, "--pure is given without a type", "give --type TYPE"};
    }
    if (imatrix_) {
        if (!type && tensor_types_.empty()) {
            return Error{ErrorCode::invalid_argument, "--imatrix is given, and nothing is to be quantized",
                         "give --type TYPE"};
        }
        PUNA_TRY(Imatrix matrix, formats::read_imatrix(*imatrix_));
        options.imatrix = std::make_shared<const Imatrix>(std::move(matrix));
        options.imatrix_name = *imatrix_;
    }
    options.pure = pure_;
    options.allow_requantize = allow_requantize_;
    options.exact = exact_;
    for (const std::string& text : tensor_types_) {
        PUNA_TRY(convert::TypeOverride parsed, parse_override(text));
        options.overrides.push_back(std::move(parsed));
    }
    return options;
}

Result<RewriteModel::Written> RewriteModel::write(const convert::QuantizePlan& plan,
                                                  const InterruptWatch& interrupts) const {
    PUNA_CHECK(check_room(*output_, plan.file_bytes()));
    PUNA_TRY(const std::unique_ptr<base::ThreadPool> pool,
             base::ThreadPool::create(threads_.value_or(base::usable_cores())));
    ProgressLine line;
    const Result<convert::WriteReport> written =
        convert::write_model(plan, *output_, *pool, [&](std::uint64_t done, std::uint64_t all) {
            line.show(done, all);
            return !interrupts.interrupted();
        });
    line.end();
    PUNA_CHECK(written);
    return Written{*written, line.seconds()};
}

Result<void> RewriteModel::check_format(std::string_view format) const {
    if (format == "gguf") return {};
    if (format != "ggml" && format != "ggmf") {
        return Error{ErrorCode::invalid_argument, fmt::format("--format takes gguf, ggml or ggmf, not '{}'", format),
                     "the older two are for programs of 2023"};
    }
    if (tensor_types_.empty() && !pure_ && !imatrix_) return {};
    return Error{ErrorCode::invalid_argument,
                 fmt::format("--tensor-type, --pure and --imatrix are about GGUF files, and --format is {}", format),
                 "leave them away"};
}

Result<QuantizePlan> RewriteModel::plan(std::shared_ptr<const formats::ModelFile> source,
                                        const convert::QuantizeOptions& chosen, std::string_view format) const {
    if (format == "gguf") return convert::plan_quantization(std::move(source), chosen);
    formats::ggml::Container container;
    if (format == "ggmf") container = {.magic = formats::ggml::ggmf_magic, .version = 1};
    return convert::plan_legacy(std::move(source), container, chosen.mix, chosen.exact);
}

Result<int> RewriteModel::run(const std::optional<std::string>& type, Output& output, std::string_view format) {
    if (!input_ || !output_) {
        return Error{ErrorCode::invalid_argument, "a file is missing", "give the model's file and the file to write"};
    }
    PUNA_CHECK(check_format(format));
    PUNA_TRY(const convert::QuantizeOptions chosen, options(type));
    if (!dry_run_) PUNA_CHECK(check_target(*output_, force_));
    const InterruptWatch interrupts;
    PUNA_TRY(const std::string path, store::find_model(*input_));
    PUNA_TRY(const std::shared_ptr<const formats::ModelFile> source, formats::read_model_file(path, legacy_.values()));
    if (shards_only_) PUNA_CHECK(check_sharded(*source));
    PUNA_CHECK(check_not_a_part(*source, path, *output_));
    PUNA_TRY(const QuantizePlan plan, this->plan(source, chosen, format));
    report_fallbacks(plan);
    report_importance(plan);
    report_coarse_types(plan);
    if (!plan.unsaid.empty()) note(fmt::format("the format cannot say {}", fmt::join(plan.unsaid, "; nor ")));
    if (dry_run_) {
        report_unjudged(plan);
        PUNA_CHECK(json_ ? output.write_line(json_line(plan_json(plan))) : output.write(plan_table(plan)));
        return exit_ok;
    }
    PUNA_TRY(const Written written, write(plan, interrupts));
    const auto& [report, seconds] = written;
    if (report.rounded_tensors > 0) {
        note(fmt::format("scales of {} {} were rounded to 16 bits, by {:.3g} of their size at most",
                         report.rounded_tensors, report.rounded_tensors == 1 ? "tensor" : "tensors",
                         report.largest_scale_error));
    }
    if (json_) {
        Json json = summary(plan);
        json["rounded_scales"] = {{"tensors", report.rounded_tensors},
                                  {"largest_relative_error", report.largest_scale_error}};
        json["seconds"] = seconds;
        PUNA_CHECK(output.write_line(json_line(json)));
    } else {
        note(fmt::format("{}: {}, in {:.1f} s", formats::printable_path(*output_), total_words(plan), seconds));
    }
    return exit_ok;
}

}  // namespace puna::cli
