#include "engine/session/llama_rs_snapshot.h"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "base/checked.h"
#include "base/file_mapping.h"
#include "base/try.h"
#include "formats/printable.h"

namespace puna::engine {
namespace {

constexpr std::uint32_t zstd_magic = 0xFD2FB528;
// The writer's level has windows of 512 KiB; memory for one is all that a stream can ask for.
constexpr int most_window_bits = 23;
constexpr std::uint64_t most_positions = std::uint64_t{1} << 20;

/// Reads a zstd stream from its start to its end, in pieces.
class ZstdReader {
  public:
    ZstdReader(std::span<const std::byte> file, std::string path)
        : path_(std::move(path)), stream_(ZSTD_createDStream()), input_{file.data(), file.size(), 0} {}

    /// Errors: out_of_memory.
    Result<void> start() {
        if (!stream_) return Error{ErrorCode::out_of_memory, "not enough memory to decompress", ""};
        ZSTD_DCtx_setParameter(stream_.get(), ZSTD_d_windowLogMax, most_window_bits);
        return {};
    }

    /// Errors: file_malformed.
    Result<void> read(std::span<std::byte> into, std::string_view what) {
        ZSTD_outBuffer output{into.data(), into.size(), 0};
        while (output.pos < output.size) {
            const std::size_t before = output.pos + input_.pos;
            if (ended_) return malformed(fmt::format("the stream ends within {}", what));
            const std::size_t left = ZSTD_decompressStream(stream_.get(), &output, &input_);
            if (ZSTD_isError(left) != 0) return malformed(fmt::format("{}: {}", what, ZSTD_getErrorName(left)));
            ended_ = left == 0;
            if (!ended_ && output.pos + input_.pos == before)
                return malformed(fmt::format("the file ends within {}", what));
        }
        return {};
    }

    template <typename T>
    Result<T> number(std::string_view what) {
        std::array<std::byte, sizeof(T)> bytes{};
        PUNA_CHECK(read(bytes, what));
        T value{};
        std::memcpy(&value, bytes.data(), sizeof(T));
        return value;
    }

    Result<void> skip(std::uint64_t bytes, std::string_view what) {
        std::array<std::byte, 1 << 14> buffer;
        while (bytes > 0) {
            const auto step = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, buffer.size()));
            PUNA_CHECK(read(std::span(buffer).first(step), what));
            bytes -= step;
        }
        return {};
    }

    Result<void> finish() {
        std::byte more{};
        ZSTD_outBuffer output{&more, 1, 0};
        while (!ended_ && output.pos == 0) {
            const std::size_t before = input_.pos;
            const std::size_t left = ZSTD_decompressStream(stream_.get(), &output, &input_);
            if (ZSTD_isError(left) != 0) return malformed(ZSTD_getErrorName(left));
            ended_ = left == 0;
            if (!ended_ && output.pos == 0 && input_.pos == before) return malformed("the file ends before the stream");
        }
        if (output.pos > 0 || input_.pos < input_.size) return malformed("there is more behind the values");
        return {};
    }

    Error malformed(std::string_view what) const {
        return {ErrorCode::file_malformed, fmt::format("{}: as a LLaMA-rs snapshot, it is damaged: {}", path_, what),
                ""};
    }
    Error mismatch(std::string_view what) const {
        return {ErrorCode::session_mismatch, fmt::format("{}: {}", path_, what),
                "a snapshot does not say which model it is of: give the one that it was made with"};
    }

  private:
    struct Free {
        void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
    };
    std::string path_;
    std::unique_ptr<ZSTD_DStream, Free> stream_;
    ZSTD_inBuffer input_;
    bool ended_ = false;
};

/// Reads over keys or values; returns the positions that there is room for in them.
Result<std::uint64_t> skip_rows(ZstdReader& reader, std::uint32_t type, const models::Dimensions& model,
                                std::string_view what) {
    PUNA_TRY(const std::uint64_t bytes, reader.number<std::uint64_t>(what));
    const std::uint64_t element = type == 0 ? 2 : 4;
    const auto position =
        base::checked_multiply(static_cast<std::uint64_t>(model.layers) * element,
                               static_cast<std::uint64_t>(model.kv_heads) * static_cast<std::uint64_t>(model.head_dim));
    if (!position || bytes % *position != 0 || bytes / *position > most_positions) {
        return reader.mismatch(
            fmt::format("its {} take {} bytes, which no context of {} layers with {} heads of {} does", what, bytes,
                        model.layers, model.kv_heads, model.head_dim));
    }
    PUNA_CHECK(reader.skip(bytes, what));
    return bytes / *position;
}

Result<std::vector<TokenId>> read(ZstdReader& reader, const models::Dimensions& model) {
    PUNA_CHECK(reader.start());
    PUNA_TRY(const std::uint64_t past, reader.number<std::uint64_t>("n_past"));
    PUNA_CHECK(reader.number<std::uint64_t>("the penalty window"));
    PUNA_TRY(const std::uint32_t key_type, reader.number<std::uint32_t>("the type of keys"));
    PUNA_TRY(const std::uint32_t value_type, reader.number<std::uint32_t>("the type of values"));
    if (key_type > 1 || value_type > 1) return reader.malformed("keys or values are neither F16 nor F32");

    PUNA_TRY(const std::uint64_t count, reader.number<std::uint64_t>("the number of tokens"));
    if (count > static_cast<std::uint64_t>(model.context)) {
        return reader.mismatch(fmt::format("it holds {} tokens, and the model was made for {}", count, model.context));
    }
    if (past > count) return reader.malformed(fmt::format("n_past is {}, and there are {} tokens", past, count));
    std::vector<TokenId> tokens(count);
    PUNA_CHECK(reader.read(std::as_writable_bytes(std::span(tokens)), "the tokens"));
    for (const TokenId id : tokens) {
        if (id >= 0 && id < model.vocabulary) continue;
        return reader.mismatch(
            fmt::format("it holds the token {}, and the model's are 0 to {}", id, model.vocabulary - 1));
    }
    PUNA_TRY(const std::uint64_t logits, reader.number<std::uint64_t>("the number of logits"));
    if (logits != static_cast<std::uint64_t>(model.vocabulary)) {
        return reader.mismatch(
            fmt::format("it holds {} logits, and the model has {} tokens", logits, model.vocabulary));
    }
    PUNA_CHECK(reader.skip(logits * sizeof(float), "the logits"));
    PUNA_TRY(const std::uint64_t key_positions, skip_rows(reader, key_type, model, "keys"));
    PUNA_TRY(const std::uint64_t value_positions, skip_rows(reader, value_type, model, "values"));
    if (key_positions != value_positions || past > key_positions) {
        return reader.malformed(
            fmt::format("n_past is {}, there is room for {} keys and {} values", past, key_positions, value_positions));
    }
    PUNA_CHECK(reader.finish());
    return tokens;
}

}  // namespace

bool may_be_llama_rs_snapshot(std::span<const std::byte> file) {
    std::uint32_t start = 0;
    if (file.size() < sizeof(start)) return false;
    std::memcpy(&start, file.data(), sizeof(start));
    return start == zstd_magic;
}

Result<std::vector<TokenId>> read_llama_rs_snapshot(const std::string& path, const models::Dimensions& model) {
    PUNA_TRY(const auto mapping, base::FileMapping::open(path));
    if (!may_be_llama_rs_snapshot(mapping->bytes())) {
        return Error{
            ErrorCode::unsupported_format,
            fmt::format("{}: this is no LLaMA-rs snapshot: it is no zstd stream", formats::printable_path(path)),
            "sessions of puna need no import"};
    }
    ZstdReader reader(mapping->bytes(), formats::printable_path(path));
    return base::unless_changed(*mapping, read(reader, model));
}

}  // namespace puna::engine
