// puna split: a model in several files.
#include "convert/split.h"

#include <fmt/format.h>

#include "base/try.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/progress_line.h"
#include "cli/target_file.h"
#include "cli/units.h"
#include "formats/printable.h"
#include "store/models.h"

namespace puna::cli {
namespace {

using convert::PlannedShard;
using convert::SplitPlan;

class SplitCommand : public Command {
  public:
    void declare(Flags& flags) override;
    Result<int> execute(Output& output) override;

  private:
    std::string prefix() const;

    std::optional<std::string> input_;
    std::optional<std::string> output_;
    std::optional<std::string> max_size_;
    std::optional<std::uint64_t> max_tensors_;
    bool force_ = false;
    bool dry_run_ = false;
    bool json_ = false;
};

void SplitCommand::declare(Flags& flags) {
    flags.positional("IN", input_,
                     "The model: a GGUF file, any shard of one in several files, or a name that 'puna list' shows.");
    flags.positional("OUT", output_,
                     "What the names of the files begin with, before -00001-of-00003.gguf (default: IN, less .gguf).");
    flags.section("Limits");
    flags.text("--max-size", "SIZE", max_size_,
               "Bytes of a file at most: a number with K, M or G behind it (thousands, millions, billions) or nothing. "
               "A tensor that is larger has a file to itself.");
    flags.integer("--max-tensors", "N", {1, std::numeric_limits<std::uint32_t>::max()}, max_tensors_,
                  "Tensors of a file at most.");
    flags.section("Work");
    flags.flag("--dry-run", dry_run_, "Print the plan, and write nothing.");
    flags.flag("--force", force_, "Replace files that exist.");
    flags.section("Output");
    flags.flag("--json", json_, "Print one JSON object.");
    flags.example("puna split model.gguf --max-size 2G", "files of 2 GB");
    flags.example("puna merge model-00001-of-00004.gguf model.gguf", "the way back");
}

/// "2G" -> 2,000,000,000.
Result<std::uint64_t> parse_size(std::string_view text) {
    std::uint64_t unit = 1;
    std::string_view digits = text;
    constexpr std::string_view letters = "KMG";
    if (const std::size_t found = text.empty() ? letters.npos : letters.find(text.back()); found != letters.npos) {
        for (std::size_t i = 0; i <= found; ++i)
            unit *= 1000;
        digits.remove_suffix(1);
    }
    constexpr std::uint64_t most = std::uint64_t{1} << 62;
    const auto number = parse_integer("--max-size", digits, {1, most / unit});
    if (number.ok()) return *number * unit;
    return Error{ErrorCode::invalid_argument, fmt::format("--max-size takes a size such as 2G or 500M, not '{}'", text),
                 ""};
}

std::string SplitCommand::prefix() const {
    std::string name = output_.value_or(*input_);
    constexpr std::string_view ending = ".gguf";
    if (name.ends_with(ending) && name.size() > ending.size()) name.resize(name.size() - ending.size());
    return name;
}

bool too_large(const SplitPlan& plan, const PlannedShard& shard) {
    return plan.limits.max_bytes > 0 && shard.layout.file_bytes > plan.limits.max_bytes;
}

std::string table(const SplitPlan& plan, const std::string& prefix) {
    std::string text;
    for (std::size_t i = 0; i < plan.shards.size(); ++i) {
        const PlannedShard& shard = plan.shards[i];
        text += fmt::format("{}  {:>6} {:<7}  {:>10}\n", formats::printable_path(plan.path(prefix, i)), shard.count,
                            shard.count == 1 ? "tensor" : "tensors", bytes_words(shard.layout.file_bytes));
    }
    return text;
}

Json json(const SplitPlan& plan, const std::string& prefix) {
    Json files = Json::array();
    for (std::size_t i = 0; i < plan.shards.size(); ++i) {
        files.push_back({{"path", plan.path(prefix, i)},
                         {"tensors", plan.shards[i].count},
                         {"bytes", plan.shards[i].layout.file_bytes}});
    }
    return {{"files", files}, {"bytes", plan.bytes()}};
}

Result<int> SplitCommand::execute(Output& output) {
    if (!input_) return Error{ErrorCode::invalid_argument, "a file is missing", "give the model's file"};
    if (!max_size_ && !max_tensors_) {
        return Error{ErrorCode::invalid_argument, "nothing says how large a file may be",
                     "give --max-size SIZE or --max-tensors N"};
    }
    convert::SplitLimits limits = {.max_tensors = max_tensors_.value_or(0)};
    if (max_size_) {
        PUNA_TRY(limits.max_bytes, parse_size(*max_size_));
    }
    const InterruptWatch interrupts;
    PUNA_TRY(const std::string path, store::find_model(*input_));
    PUNA_TRY(const std::shared_ptr<const formats::ModelFile> source, formats::read_model_file(path));
    PUNA_TRY(const SplitPlan plan, convert::plan_split(source, limits));
    const std::string start = prefix();
    for (std::size_t i = 0; i < plan.shards.size(); ++i) {
        if (!dry_run_) PUNA_CHECK(check_target(plan.path(start, i), force_));
        if (!too_large(plan, plan.shards[i])) continue;
        note(fmt::format("{} takes {}, more than {}: one tensor, or the metadata, is as large",
                         formats::printable_path(plan.path(start, i)), bytes_words(plan.shards[i].layout.file_bytes),
                         bytes_words(limits.max_bytes)));
    }
    if (dry_run_) {
        PUNA_CHECK(json_ ? output.write_line(json_line(json(plan, start))) : output.write(table(plan, start)));
        return exit_ok;
    }
    PUNA_CHECK(check_room(plan.path(start, 0), plan.bytes()));
    ProgressLine line;
    const Result<void> written = convert::write_shards(plan, start, [&](std::uint64_t done, std::uint64_t all) {
        line.show(done, all);
        return !interrupts.interrupted();
    });
    line.end();
    PUNA_CHECK(written);
    if (json_) {
        Json summary = json(plan, start);
        summary["seconds"] = line.seconds();
        PUNA_CHECK(output.write_line(json_line(summary)));
    } else {
        note(fmt::format("{} and on: {} files, {}, in {:.1f} s", formats::printable_path(plan.path(start, 0)),
                         plan.shards.size(), bytes_words(plan.bytes()), line.seconds()));
    }
    return exit_ok;
}

}  // namespace

std::unique_ptr<Command> make_split_command() {
    return std::make_unique<SplitCommand>();
}

}  // namespace puna::cli
