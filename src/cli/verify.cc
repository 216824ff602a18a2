// puna verify: whether a model file is whole, and which one it is.
#include "convert/verify.h"

#include <fmt/format.h>

#include "base/cpu.h"
#include "base/try.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/progress_line.h"
#include "cli/tensor_words.h"
#include "cli/units.h"
#include "formats/printable.h"
#include "models/model.h"
#include "store/models.h"

namespace puna::cli {
namespace {

using convert::NonFinite;
using convert::Verification;
using convert::VerifiedFile;

class VerifyCommand : public Command {
  public:
    void declare(Flags& flags) override;
    Result<int> execute(Output& output) override;

  private:
    std::optional<std::string> file_;
    std::optional<std::uint32_t> threads_;
    bool json_ = false;
};

void VerifyCommand::declare(Flags& flags) {
    flags.positional("FILE", file_,
                     "The model file; of a model in several files, any of them. Or a name that 'puna list' shows.");
    flags.section("Work");
    flags.integer("-t,--num-threads", "N", {1, 1024}, threads_,
                  "Threads (default: the cores that this process may use).");
    flags.section("Output");
    flags.flag("--json", json_, "Print one JSON object.");
    flags.example("puna verify model.gguf", "structure, NaN and infinity, sizes and SHA-256");
}

std::string table(const formats::ModelFile& model, const Verification& found) {
    std::string text;
    const auto row = [&](std::string_view name, const std::string& value) {
        text += fmt::format("{:<16}{}\n", name, value);
    };
    for (const VerifiedFile& file : found.files) {
        row("file", formats::printable_path(file.path));
        row("  size", fmt::format("{} bytes, {} of them in {} tensors", file.bytes, file.tensor_bytes, file.tensors));
        if (file.trailing_bytes > 0) {
            row("  unused", fmt::format("{} bytes after the last tensor", file.trailing_bytes));
        }
        row("  SHA-256", file.sha256);
    }
    row("structure", fmt::format("{}, no faults", model.format));
    for (const NonFinite& entry : found.non_finite) {
        row("not finite",
            fmt::format("{}: {} NaN, {} infinite, the first is element {}", formats::printable(entry.tensor->name),
                        entry.nans, entry.infinities, entry.first));
    }
    for (const formats::FoundTensor* tensor : found.not_scanned) {
        row("not looked at",
            fmt::format("{}: this build does not read {}", formats::printable(tensor->name), type_name(tensor->type)));
    }
    const std::uint64_t bad = found.non_finite.size();
    row("weights", fmt::format("{} looked at, {}", found.elements_scanned,
                               bad == 0   ? "all finite"
                               : bad == 1 ? "1 tensor holds some that are not finite"
                                          : fmt::format("{} tensors hold some that are not finite", bad)));
    return text;
}

Json json(const formats::ModelFile& model, const Verification& found) {
    Json files = Json::array();
    for (const VerifiedFile& file : found.files) {
        files.push_back({{"path", file.path},
                         {"bytes", file.bytes},
                         {"tensors", file.tensors},
                         {"tensor_bytes", file.tensor_bytes},
                         {"trailing_bytes", file.trailing_bytes},
                         {"sha256", file.sha256}});
    }
    Json non_finite = Json::array();
    for (const NonFinite& entry : found.non_finite) {
        non_finite.push_back({{"name", entry.tensor->name},
                              {"type", type_name(entry.tensor->type)},
                              {"nan", entry.nans},
                              {"infinite", entry.infinities},
                              {"first", entry.first}});
    }
    Json not_scanned = Json::array();
    for (const formats::FoundTensor* tensor : found.not_scanned)
        not_scanned.push_back({{"name", tensor->name}, {"type", type_name(tensor->type)}});
    return {{"ok", found.finite()},     {"format", model.format},
            {"files", files},           {"elements_scanned", found.elements_scanned},
            {"non_finite", non_finite}, {"not_scanned", not_scanned}};
}

/// The formats before GGUF tell nowhere how many tensors there are. Of a family that is known, the model asks for them.
Result<void> check_complete(const std::shared_ptr<const formats::ModelFile>& model) {
    if (model->dialect != formats::Dialect::ggml) return {};
    const auto whole = models::in_gguf_dialect(model);
    if (whole.ok() || whole.error().code != ErrorCode::file_malformed) return {};
    return whole.error();
}

Result<int> VerifyCommand::execute(Output& output) {
    if (!file_) return Error{ErrorCode::invalid_argument, "a file is missing", "give the model's file"};
    const InterruptWatch interrupts;
    PUNA_TRY(const std::string path, store::find_model(*file_));
    PUNA_TRY(const std::shared_ptr<const formats::ModelFile> model, formats::read_model_file(path));
    PUNA_CHECK(check_complete(model));
    PUNA_TRY(const std::unique_ptr<base::ThreadPool> pool,
             base::ThreadPool::create(threads_.value_or(base::usable_cores())));
    ProgressLine line;
    const auto found = convert::verify_model(*model, *pool, [&](std::uint64_t done, std::uint64_t all) {
        line.show(done, all);
        return !interrupts.interrupted();
    });
    line.end();
    if (!found.ok()) return found.error();
    PUNA_CHECK(json_ ? output.write_line(json_line(json(*model, *found))) : output.write(table(*model, *found)));
    return found->finite() ? exit_ok : exit_file;
}

}  // namespace

std::unique_ptr<Command> make_verify_command() {
    return std::make_unique<VerifyCommand>();
}

}  // namespace puna::cli
