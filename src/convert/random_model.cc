#include "convert/random_model.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "base/cpu.h"
#include "base/large_pages.h"
#include "base/rng.h"
#include "base/try.h"
#include "convert/quantize.h"
#include "formats/printable.h"

namespace puna::convert {
namespace {

using formats::FoundTensor;
using quant::TensorType;
using quant::TypeInfo;

constexpr std::array shapes = {
    ModelShape{"15m", 6, 288, 768, 6, 6, 32000, 256, true, "stories15M"},
    ModelShape{"135m", 30, 576, 1536, 9, 3, 49152, 8192, true, "SmolLM2-135M"},
    ModelShape{"1b", 22, 2048, 5632, 32, 4, 32000, 8192, false, "TinyLlama-1.1B"},
    ModelShape{"3b", 28, 3072, 8192, 24, 8, 128256, 131072, true, "Llama-3.2-3B"},
    ModelShape{"7b", 32, 4096, 11008, 32, 32, 32000, 8192, false, "Llama-2-7B"},
    ModelShape{"8b", 32, 4096, 14336, 32, 8, 128256, 131072, false, "Llama-3.1-8B"},
};

Error unknown_name(std::string_view what, std::string_view name, const std::string& known) {
    return {ErrorCode::invalid_argument, fmt::format("--shape: unknown {} '{}'", what, formats::printable(name)),
            fmt::format("known are: {}; write SHAPE:TYPE or SHAPE:pure:TYPE, as in 1b:Q4_0", known)};
}

// ---- What the file says ----

/// Made up, in the manner of SentencePiece: control tokens, bytes, single characters, then words.
text::Vocabulary make_vocabulary(std::uint64_t size) {
    using text::TokenKind;
    text::Vocabulary vocabulary;
    vocabulary.family = text::TokenizerFamily::sentencepiece_bpe;
    vocabulary.family_name = "llama";
    vocabulary.unk = 0;
    vocabulary.bos = 1;
    vocabulary.eos = 2;
    vocabulary.add_bos = true;
    const auto add = [&](std::string token, TokenKind kind) {
        vocabulary.scores.push_back(-static_cast<float>(vocabulary.tokens.size()));
        vocabulary.tokens.push_back(std::move(token));
        vocabulary.kinds.push_back(kind);
    };
    const std::string space = "\u2581";
    add("<unk>", TokenKind::unknown);
    add("<s>", TokenKind::control);
    add("</s>", TokenKind::control);
    for (int byte = 0; byte < 256; ++byte)
        add(fmt::format("<0x{:02X}>", byte), TokenKind::byte);
    add(space, TokenKind::normal);
    for (char c = '!'; c <= '~'; ++c)
        add(std::string(1, c), TokenKind::normal);
    for (std::uint64_t i = 0; vocabulary.tokens.size() < size; ++i)
        add(fmt::format("{}w{}", space, i), TokenKind::normal);
    return vocabulary;
}

formats::Metadata make_metadata(const RandomModelSpec& spec) {
    const ModelShape& shape = spec.shape;
    const std::uint64_t head_dim = shape.embedding / shape.heads;
    formats::Metadata metadata;
    metadata.values = {
        {"general.architecture", std::string("llama")},
        {"general.name", fmt::format("random {}{} {}", shape.name, spec.pure ? " pure" : "", spec.mix->name)},
        {"llama.context_length", shape.context},
        {"llama.embedding_length", shape.embedding},
        {"llama.block_count", shape.layers},
        {"llama.feed_forward_length", shape.feed_forward},
        {"llama.attention.head_count", shape.heads},
        {"llama.attention.head_count_kv", shape.kv_heads},
        {"llama.attention.layer_norm_rms_epsilon", static_cast<double>(1e-5F)},
        {"llama.rope.dimension_count", head_dim},
        {"llama.rope.freq_base", 10000.0},
        {"llama.vocab_size", shape.vocabulary},
        {"tokenizer.ggml.model", std::string("llama")},
        {"tokenizer.ggml.unknown_token_id", std::uint64_t{0}},
        {"tokenizer.ggml.bos_token_id", std::uint64_t{1}},
        {"tokenizer.ggml.eos_token_id", std::uint64_t{2}},
        {"tokenizer.ggml.add_bos_token", true},
    };
    return metadata;
}

/// The model as an F32 file would hold it, the weights themselves left out.
std::shared_ptr<formats::ModelFile> make_outline(const RandomModelSpec& spec) {
    const ModelShape& shape = spec.shape;
    const std::uint64_t d = shape.embedding;
    const std::uint64_t kv = shape.kv_heads * (d / shape.heads);
    auto file = std::make_shared<formats::ModelFile>();
    file->path = fmt::format("{}:{}{}", shape.name, spec.pure ? "pure:" : "", spec.mix->name);
    file->format = "random weights";
    file->architecture = "llama";
    file->metadata = make_metadata(spec);
    file->vocabulary = make_vocabulary(shape.vocabulary);
    const auto add = [&](std::string name, std::vector<std::uint64_t> dimensions) {
        file->tensors.push_back({std::move(name), TensorType::F32, std::move(dimensions), {{}}});
    };
    add("token_embd.weight", {shape.vocabulary, d});
    add("output_norm.weight", {d});
    if (!shape.tied) add("output.weight", {shape.vocabulary, d});
    for (std::uint64_t layer = 0; layer < shape.layers; ++layer) {
        const auto name = [&](std::string_view part) { return fmt::format("blk.{}.{}.weight", layer, part); };
        add(name("attn_norm"), {d});
        add(name("attn_q"), {d, d});
        add(name("attn_k"), {kv, d});
        add(name("attn_v"), {kv, d});
        add(name("attn_output"), {d, d});
        add(name("ffn_norm"), {d});
        add(name("ffn_gate"), {shape.feed_forward, d});
        add(name("ffn_up"), {shape.feed_forward, d});
        add(name("ffn_down"), {d, shape.feed_forward});
    }
    file->index_tensors();
    return file;
}

// ---- Its weights ----

/// Pages of this process alone: large ones, as a mapped file has them that was read from the disk.
class Pages {
  public:
    static Result<std::shared_ptr<Pages>> allocate(std::uint64_t bytes) {
        const std::uint64_t available = base::available_memory();
        // Asked first: the system promises memory that it does not have, and ends the process that uses it.
        void* data = bytes < available
                         ? mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                         : MAP_FAILED;
        if (data == MAP_FAILED) {
            return Error{ErrorCode::out_of_memory,
                         fmt::format("a random model of {} MiB does not fit into the {} MiB of memory that are free",
                                     bytes >> 20, available >> 20),
                         "choose a smaller shape, or a type of fewer bits"};
        }
        base::prefer_large_pages(data, bytes);
        return std::shared_ptr<Pages>(new Pages(static_cast<std::byte*>(data), bytes));
    }
    ~Pages() { munmap(data_, bytes_); }
    Pages(const Pages&) = delete;
    Pages& operator=(const Pages&) = delete;
    std::byte* data() const { return data_; }

  private:
    Pages(std::byte* data, std::uint64_t bytes) : data_(data), bytes_(bytes) {}
    std::byte* data_;
    std::uint64_t bytes_;
};

/// Fills matrices with rows of the pools that it makes, one for each type and width.
class Filler {
  public:
    explicit Filler(base::ThreadPool& pool) : pool_(pool) {}

    /// Tensor number `index`: each begins elsewhere in the rows, so that no two matrices are equal.
    void fill(const FoundTensor& tensor, std::size_t index, std::byte* to) {
        const TypeInfo& type = quant::type_info(tensor.type);
        if (tensor.shape.size() == 1) {
            const std::vector<float> ones(tensor.shape.front(), 1.0F);
            type.from_float(ones.data(), to, ones.size());
            return;
        }
        const std::uint64_t columns = tensor.shape.back();
        std::vector<std::byte>& rows = rows_[{tensor.type, columns}];
        if (rows.empty()) rows = make_random_rows(type, columns, pool_);
        const std::uint64_t row_bytes = rows.size() / random_rows;
        pool_.run(tensor.shape.front(), [&](std::size_t row, std::size_t) {
            const std::size_t source = (row + 17 * index) % random_rows;
            std::memcpy(to + row * row_bytes, rows.data() + source * row_bytes, row_bytes);
        });
    }

  private:
    base::ThreadPool& pool_;
    std::map<std::pair<TensorType, std::uint64_t>, std::vector<std::byte>> rows_;
};

Error interrupted() {
    return {ErrorCode::cancelled, "interrupted", ""};
}

/// Keeps the pages beside the file whose tensors lie in them.
struct FileInMemory {
    std::shared_ptr<formats::ModelFile> file;
    std::shared_ptr<Pages> pages;
};

}  // namespace

std::span<const ModelShape> named_shapes() {
    return shapes;
}

Result<RandomModelSpec> parse_random_model(std::string_view text) {
    constexpr std::string_view pure = "pure:";
    const std::size_t colon = text.find(':');
    const std::string_view shape_name = text.substr(0, colon);
    std::string_view type_name = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
    RandomModelSpec spec = {};
    spec.pure = type_name.starts_with(pure);
    if (spec.pure) type_name.remove_prefix(pure.size());

    const auto* shape =
        std::find_if(shapes.begin(), shapes.end(), [&](const ModelShape& s) { return s.name == shape_name; });
    const auto names = [](const auto& all) {
        std::string list;
        for (const auto& one : all)
            list += fmt::format("{}{}", list.empty() ? "" : ", ", one.name);
        return list;
    };
    if (shape == shapes.end()) return unknown_name("shape", shape_name, names(shapes));
    spec.shape = *shape;
    spec.mix = find_mix(type_name);
    if (spec.mix == nullptr) return unknown_name("type", type_name, names(all_mixes()));
    return spec;
}

std::vector<std::byte> make_random_rows(const TypeInfo& type, std::uint64_t columns, base::ThreadPool& pool) {
    const std::uint64_t row_bytes = columns / type.block_elements * type.block_bytes;
    const float reach = std::sqrt(3.0F / static_cast<float>(columns));
    std::vector<std::byte> rows(random_rows * row_bytes);
    pool.run(random_rows, [&](std::size_t row, std::size_t) {
        std::byte* out = rows.data() + row * row_bytes;
        std::vector<float> values(columns);
        for (std::uint64_t i = 0; i < columns; i += 4) {
            const auto words = base::philox({static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(row),
                                             static_cast<std::uint32_t>(columns), 0},
                                            {1, 0});
            for (std::uint64_t j = i; j < std::min(i + 4, columns); ++j)
                values[j] = (static_cast<float>(words[j - i]) * 0x1p-31F - 1.0F) * reach;
        }
        type.from_float(values.data(), out, columns);
    });
    return rows;
}

Result<RandomModel> make_random_model(const RandomModelSpec& spec, base::ThreadPool& pool,
                                      const std::function<bool()>& stopped) {
    // What quantize would make of the F32 file decides the types and where everything lies.
    const std::shared_ptr<formats::ModelFile> outline = make_outline(spec);
    PUNA_TRY(QuantizePlan plan, plan_quantization(outline, {.mix = spec.mix, .pure = spec.pure}));
    const std::uint64_t alignment = plan.layout.alignment;
    const auto in_memory = std::make_shared<FileInMemory>();
    in_memory->file = std::make_shared<formats::ModelFile>(*outline);
    PUNA_TRY(in_memory->pages, Pages::allocate(plan.layout.file_bytes));

    Filler filler(pool);
    std::uint64_t offset = 0;
    for (std::size_t i = 0; i < plan.tensors.size(); ++i) {
        if (stopped && stopped()) return interrupted();
        FoundTensor& tensor = in_memory->file->tensors[i];
        tensor.type = plan.tensors[i].type;
        std::byte* data = in_memory->pages->data() + offset;
        filler.fill(tensor, i, data);
        tensor.parts = {{.data = {data, plan.tensors[i].bytes}, .mapping = nullptr}};
        offset += (plan.tensors[i].bytes + alignment - 1) / alignment * alignment;
    }
    in_memory->file->file_bytes = plan.layout.file_bytes;
    return RandomModel{.file = {in_memory, in_memory->file.get()}, .layout = std::move(plan.layout)};
}

Result<void> write_random_model(const RandomModel& model, const std::string& path,
                                const std::function<bool()>& stopped) {
    PUNA_TRY(formats::gguf::Writer out, formats::gguf::Writer::create(path, model.layout));
    for (const FoundTensor& tensor : model.file->tensors) {
        if (stopped && stopped()) return interrupted();
        PUNA_CHECK(out.write(tensor.parts.front().data));
    }
    return out.commit();
}

}  // namespace puna::convert
