// puna show: what a model file holds, and the memory it will take.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "api/model_impl.h"
#include "base/try.h"
#include "cli/commands.h"
#include "cli/compute_flags.h"
#include "cli/exit_code.h"
#include "cli/legacy_flags.h"
#include "cli/tensor_words.h"
#include "cli/units.h"
#include "formats/model_file.h"
#include "formats/printable.h"
#include "kernels/kernel_table.h"
#include "nn/kv_cache.h"
#include "puna/model.h"

namespace puna::cli {
namespace {

struct Memory {
    std::uint64_t context_tokens;
    std::uint64_t kv;
    std::uint64_t workspace;
    std::uint64_t peak;
};

class ShowCommand : public Command {
  public:
    void declare(Flags& flags) override;
    Result<int> execute(Output& output) override;

  private:
    std::string table(const ModelInfo& info, const Memory& memory, const formats::ModelFile* file) const;
    Json json(const ModelInfo& info, const Memory& memory, const formats::ModelFile* file) const;

    std::optional<std::string> positional_;
    std::optional<std::string> model_;
    std::optional<std::uint32_t> context_tokens_;
    std::uint32_t batch_size_ = 512;
    std::string kv_type_ = "f16";
    LegacyFlags legacy_;
    bool tensors_ = false;
    std::string format_;  // of the file, in words
    bool json_ = false;
};

void ShowCommand::declare(Flags& flags) {
    flags.positional("FILE", positional_, "The model file, or its folder.");
    flags.section("Model");
    declare_model(flags, model_);
    flags.section("Memory");
    flags.integer("--num-ctx-tokens", "N", {1, std::numeric_limits<std::int32_t>::max()}, context_tokens_,
                  "The context that memory is counted for (default: the model's).");
    flags.text("--kv-type", "TYPE", kv_type_, "How keys and values are stored: f16, f32, q8_0 (default f16).");
    flags.integer("--batch-size", "N", {1, 65536}, batch_size_, "Tokens of one step (default 512).");
    legacy_.declare(flags);
    flags.section("Output");
    flags.flag("--tensors", tensors_, "Every tensor too: its name, shape, type and size.");
    flags.flag("--json", json_, "Print one JSON object.");
    flags.example("puna show model.gguf", "the file in a table");
    flags.example("puna show model.gguf --num-ctx-tokens 4096 --json", "with the memory for 4,096 tokens");
}

/// Types with their shares, the largest first.
std::string type_lines(const ModelInfo& info) {
    std::vector<std::pair<std::string, ModelInfo::TypeShare>> types(info.types.begin(), info.types.end());
    std::stable_sort(types.begin(), types.end(),
                     [](const auto& a, const auto& b) { return a.second.bytes > b.second.bytes; });
    std::uint64_t total = 0;
    for (const auto& [name, share] : types)
        total += share.bytes;
    std::string lines = "tensors\n";
    for (const auto& [name, share] : types) {
        const double percent = total > 0 ? 100.0 * static_cast<double>(share.bytes) / static_cast<double>(total) : 0.0;
        lines +=
            fmt::format("  {:<10}{:>7}  {:>10}  {:>5.1f} %\n", name, share.tensors, bytes_words(share.bytes), percent);
    }
    return lines;
}

/// Of a tensor in pieces, what each file holds.
std::string place_words(const formats::FoundTensor& tensor) {
    const std::string shape = shape_words(tensor.shape);
    return tensor.unmerged ? fmt::format("{} in each of {}", shape, tensor.parts.size()) : shape;
}

/// In file order.
std::string tensor_lines(const formats::ModelFile& file) {
    std::size_t width = 0;
    for (const formats::FoundTensor& tensor : file.tensors)
        width = std::max(width, formats::printable(tensor.name).size());
    std::string lines;
    for (const formats::FoundTensor& tensor : file.tensors) {
        lines += fmt::format("  {:<{}}  {:<14}  {:<11}{:>9}\n", formats::printable(tensor.name), width,
                             place_words(tensor), type_name(tensor.type), bytes_words(tensor.bytes()));
    }
    return lines;
}

Json tensor_list(const formats::ModelFile& file) {
    Json list = Json::array();
    for (const formats::FoundTensor& tensor : file.tensors) {
        list.push_back({{"name", tensor.name},
                        {"shape", tensor.shape},
                        {"type", type_name(tensor.type)},
                        {"bytes", tensor.bytes()}});
        if (tensor.unmerged) list.back()["pieces"] = tensor.parts.size();
    }
    return list;
}

std::string ShowCommand::table(const ModelInfo& info, const Memory& memory, const formats::ModelFile* file) const {
    std::string text;
    const auto row = [&](std::string_view name, const std::string& value) {
        text += fmt::format("{:<16}{}\n", name, value);
    };
    row("file", formats::printable_path(info.path));
    row("format", format_);
    if (!info.name.empty()) row("name", formats::printable(info.name));
    row("architecture", formats::printable(info.architecture));
    row("runs here", info.runnable ? "yes" : fmt::format("no: {}", formats::printable(info.why_not.message, 4096)));
    row("parameters", fmt::format("{} ({})", info.parameters, count_words(info.parameters)));
    row("context", fmt::format("{} tokens", info.context_tokens));
    row("vocabulary", fmt::format("{} tokens", info.vocabulary_tokens));
    if (info.block_count > 0) {
        row("layers", fmt::format("{} of width {}, {} heads, {} KV heads", info.block_count, info.embedding_length,
                                  info.head_count, info.head_count_kv));
    }
    text += type_lines(info);
    if (file != nullptr) text += tensor_lines(*file);
    text += "memory\n";
    text += fmt::format("  {:<16}{:>10}  mapped\n", "file", bytes_words(info.file_bytes));
    if (info.assembled_bytes > 0) {
        text += fmt::format("  {:<16}{:>10}  of their bytes put together in memory\n", "matrices",
                            bytes_words(info.assembled_bytes));
    }
    if (info.runnable) {
        text += fmt::format("  {:<16}{:>10}  {} tokens, {}\n", "KV cache", bytes_words(memory.kv),
                            memory.context_tokens, kv_type_);
        text += fmt::format("  {:<16}{:>10}  batches of {}\n", "workspace", bytes_words(memory.workspace), batch_size_);
        text += fmt::format("  {:<16}{:>10}  file + KV + 32 MiB + {} x (12 x {} + 32 x {} bytes)\n", "at most",
                            bytes_words(memory.peak), batch_size_, info.feed_forward_length, info.embedding_length);
    }
    text += "chat template\n";
    if (info.chat_template.empty()) return text + "  none\n";
    constexpr std::size_t longest_line = 1 << 20;  // templates are often one line of a few thousand bytes
    std::string_view rest = info.chat_template;
    while (true) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        text += fmt::format("  {}\n", formats::printable(rest.substr(0, end), longest_line));
        if (end == rest.size()) return text;
        rest.remove_prefix(end + 1);
    }
}

Json ShowCommand::json(const ModelInfo& info, const Memory& memory, const formats::ModelFile* file) const {
    Json types = Json::object();
    for (const auto& [name, share] : info.types)
        types[name] = {{"tensors", share.tensors}, {"bytes", share.bytes}};
    // What a model that cannot run would take is not known.
    const auto if_runnable = [&](std::uint64_t bytes) { return info.runnable ? Json(bytes) : Json(); };
    Json json = {{"name", info.name},
                 {"format", format_},
                 {"architecture", info.architecture},
                 {"runnable", info.runnable},
                 {"parameters", info.parameters},
                 {"context", info.context_tokens},
                 {"vocabulary", info.vocabulary_tokens},
                 {"types", types},
                 {"memory",
                  {{"file", info.file_bytes},
                   {"assembled", info.assembled_bytes},
                   {"kv", if_runnable(memory.kv)},
                   {"workspace", if_runnable(memory.workspace)},
                   {"peak", if_runnable(memory.peak)}}},
                 {"chat_template", info.chat_template.empty() ? Json() : Json(info.chat_template)}};
    if (file != nullptr) json["tensors"] = tensor_list(*file);
    if (!info.runnable) {
        json["why_not"] = {{"code", error_code_name(info.why_not.code)}, {"message", info.why_not.message}};
    }
    return json;
}

Result<int> ShowCommand::execute(Output& output) {
    if (positional_ && model_) {
        return Error{ErrorCode::invalid_argument, "two models are given", "give the file once"};
    }
    PUNA_TRY(const kernels::KvType kv_type, kernels::select_kv_type(kv_type_));
    PUNA_TRY(const std::string path, required_model(positional_ ? positional_ : model_));
    PUNA_TRY(const Model model, Model::load(path, legacy_.load_options()));
    const ModelInfo& info = model.info();
    format_ = model.impl()->file->format;
    if (const auto& runnable = model.impl()->model; runnable.ok())
        PUNA_CHECK(nn::KvCache::check((*runnable)->kv_shape(kv_type)));
    Memory memory = {};
    memory.context_tokens = context_tokens_.value_or(info.context_tokens);
    memory.kv = model.kv_bytes(memory.context_tokens, kv_type_);
    memory.workspace = model.workspace_bytes(batch_size_);
    memory.peak = model.peak_bytes(memory.context_tokens, kv_type_, batch_size_);
    std::shared_ptr<const formats::ModelFile> file;
    if (tensors_) {
        PUNA_TRY(file, formats::read_model_file(path));
    }
    PUNA_CHECK(json_ ? output.write_line(json_line(json(info, memory, file.get())))
                     : output.write(table(info, memory, file.get())));
    return exit_ok;
}

}  // namespace

std::unique_ptr<Command> make_show_command() {
    return std::make_unique<ShowCommand>();
}

}  // namespace puna::cli
