// puna diff: where two models differ.
#include "convert/diff.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/cpu.h"
#include "base/try.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/progress_line.h"
#include "cli/tensor_words.h"
#include "formats/printable.h"
#include "models/model.h"
#include "store/models.h"

namespace puna::cli {
namespace {

using convert::KeyDifference;
using convert::ModelDifference;
using convert::TensorDifference;
using formats::FoundTensor;

constexpr int exit_different = 1;  // as of diff: 0 the same, 1 different, more than 1 trouble

class DiffCommand : public Command {
  public:
    void declare(Flags& flags) override;
    Result<int> execute(Output& output) override;

  private:
    Result<int> compare(Output& output) const;

    std::optional<std::string> a_;
    std::optional<std::string> b_;
    std::optional<std::uint32_t> threads_;
    bool no_weights_ = false;
    bool json_ = false;
};

void DiffCommand::declare(Flags& flags) {
    flags.positional("A", a_,
                     "A model file; of a model in several files, any of them. Or a name that 'puna list' shows.");
    flags.positional("B", b_, "The other one.");
    flags.section("Work");
    flags.flag("--no-weights", no_weights_, "Compare the tensors' names, types and shapes alone.");
    flags.integer("-t,--num-threads", "N", {1, 1024}, threads_,
                  "Threads (default: the cores that this process may use).");
    flags.section("Output");
    flags.flag("--json", json_, "Print one JSON object.");
    flags.example("puna diff model-f16.gguf model-q4_k_m.gguf", "what a quantization changed, tensor by tensor");
}

std::string form_words(const FoundTensor& tensor) {
    return fmt::format("{} {}", type_name(tensor.type), shape_words(tensor.shape));
}

std::string key_line(const KeyDifference& difference) {
    const std::string key = formats::printable(difference.key);
    if (!difference.b) return fmt::format("- {} = {}\n", key, *difference.a);
    if (!difference.a) return fmt::format("+ {} = {}\n", key, *difference.b);
    return fmt::format("! {} = {} -> {}\n", key, *difference.a, *difference.b);
}

std::string tensor_line(const TensorDifference& difference) {
    const auto [a, b, distance] = difference;
    const std::string name = formats::printable((a != nullptr ? a : b)->name);
    if (b == nullptr) return fmt::format("- {}: {}\n", name, form_words(*a));
    if (a == nullptr) return fmt::format("+ {}: {}\n", name, form_words(*b));
    std::string line = fmt::format("! {}: {}", name, form_words(*a));
    if (a->type != b->type || a->shape != b->shape) line += fmt::format(" -> {}", form_words(*b));
    if (distance) {
        line += fmt::format(", {} of {} elements differ, by {:.3g} at most; relative RMS error {:.3g}",
                            distance->elements_changed, a->elements(), distance->largest, distance->relative_rms);
    } else if (a->type == b->type && a->shape == b->shape) {
        line += ", its bytes differ";
    }
    return line + "\n";
}

Json or_null(const std::optional<std::string>& text) {
    return text ? Json(*text) : Json();
}

Json form_json(const FoundTensor* tensor) {
    if (tensor == nullptr) return {};
    return {{"type", type_name(tensor->type)}, {"shape", tensor->shape}};
}

Json json(const ModelDifference& difference) {
    Json keys = Json::array();
    for (const KeyDifference& key : difference.keys) {
        keys.push_back({{"key", key.key},
                        {"a", or_null(key.a)},
                        {"b", or_null(key.b)},
                        {"first", key.first ? Json(*key.first) : Json()}});
    }
    Json tensors = Json::array();
    for (const auto& [a, b, distance] : difference.tensors) {
        Json entry = {{"name", (a != nullptr ? a : b)->name}, {"a", form_json(a)}, {"b", form_json(b)}};
        entry["distance"] = distance ? Json{{"elements_changed", distance->elements_changed},
                                            {"largest", nine_digits(distance->largest)},
                                            {"relative_rms", nine_digits(distance->relative_rms)}}
                                     : Json();
        tensors.push_back(std::move(entry));
    }
    return {{"same", difference.none()}, {"metadata", keys}, {"tensors", tensors}};
}

Result<int> DiffCommand::compare(Output& output) const {
    if (!a_ || !b_) return Error{ErrorCode::invalid_argument, "a file is missing", "give two model files"};
    const InterruptWatch interrupts;
    PUNA_TRY(const std::string path_a, store::find_model(*a_));
    PUNA_TRY(const std::string path_b, store::find_model(*b_));
    PUNA_TRY(std::shared_ptr<const formats::ModelFile> a, formats::read_model_file(path_a));
    PUNA_TRY(std::shared_ptr<const formats::ModelFile> b, formats::read_model_file(path_b));
    const auto lies_in_pieces = [](const formats::ModelFile& file) {
        return std::ranges::any_of(file.tensors, [](const FoundTensor& tensor) { return tensor.unmerged; });
    };
    // The names that GGUF has are those that all dialects can be given, and its tensors are whole.
    if (a->dialect != b->dialect || lies_in_pieces(*a) || lies_in_pieces(*b)) {
        PUNA_TRY(a, models::in_gguf_dialect(std::move(a)));
        PUNA_TRY(b, models::in_gguf_dialect(std::move(b)));
    }
    PUNA_TRY(const std::unique_ptr<base::ThreadPool> pool,
             base::ThreadPool::create(threads_.value_or(base::usable_cores())));
    ProgressLine line;
    const auto found = convert::diff_models(*a, *b, !no_weights_, *pool, [&](std::uint64_t done, std::uint64_t all) {
        line.show(done, all);
        return !interrupts.interrupted();
    });
    line.end();
    if (!found.ok()) return found.error();
    if (json_) {
        PUNA_CHECK(output.write_line(json_line(json(*found))));
    } else {
        for (const KeyDifference& key : found->keys)
            PUNA_CHECK(output.write(key_line(key)));
        for (const TensorDifference& tensor : found->tensors)
            PUNA_CHECK(output.write(tensor_line(tensor)));
    }
    return found->none() ? exit_ok : exit_different;
}

Result<int> DiffCommand::execute(Output& output) {
    const Result<int> result = compare(output);
    if (result.ok()) return *result;
    // An error must not look like a difference.
    report_error(result.error(), json_);
    const int code = exit_code(result.error().code);
    return code == exit_different ? exit_usage : code;
}

}  // namespace

std::unique_ptr<Command> make_diff_command() {
    return std::make_unique<DiffCommand>();
}

}  // namespace puna::cli
