#include "formats/kl_base.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string_view>
#include <utility>

#include "base/checked.h"
#include "base/try.h"
#include "formats/malformed.h"
#include "formats/printable.h"

namespace puna::formats {
namespace {

constexpr std::string_view base_magic = "_logits_";
constexpr std::uint64_t base_header_bytes = 20;
constexpr std::uint64_t row_head_bytes = 8;  // scale and minimum
constexpr std::int64_t largest_count = std::numeric_limits<std::int32_t>::max();
constexpr int top_code = 65535;
constexpr float base_depth = 16.0F;  // how far below the largest logit a code reaches

Error malformed_base(std::string_view path, std::string_view what, std::uint64_t offset) {
    return malformed(path, what, offset, "make the base anew, with --kl-save or llama-perplexity");
}

template <typename T>
T load(const std::byte* bytes) {
    T value;
    std::memcpy(&value, bytes, sizeof(T));
    return value;
}
template <typename T>
void store(std::byte* bytes, T value) {
    std::memcpy(bytes, &value, sizeof(T));
}

struct Sizes {
    std::uint64_t tokens;  // bytes of them
    std::uint64_t file;
};
/// Nullopt where they overflow. The counts are within 31 bits, so only the last products can.
std::optional<Sizes> sizes_of(const KlBaseShape& shape) {
    const auto chunks = static_cast<std::uint64_t>(shape.chunks);
    const std::uint64_t tokens = 4 * chunks * static_cast<std::uint64_t>(shape.chunk_tokens);  // under 2^64
    const auto rows = chunks * static_cast<std::uint64_t>(shape.predictions());
    const auto row_bytes = base::checked_multiply(rows, shape.row_bytes());
    const auto body = row_bytes ? base::checked_add(*row_bytes, tokens) : std::nullopt;
    const auto file = body ? base::checked_add(*body, base_header_bytes) : std::nullopt;
    if (!file) return std::nullopt;
    return Sizes{tokens, *file};
}

struct Count {
    std::string_view name;
    std::int64_t least;
    std::int64_t KlBaseShape::* value;
};
constexpr Count counts[] = {{"n_ctx", 3, &KlBaseShape::chunk_tokens},
                            {"n_vocab", 1, &KlBaseShape::vocabulary},
                            {"n_chunk", 1, &KlBaseShape::chunks}};

Result<KlBaseShape> read_header(std::span<const std::byte> bytes, const std::string& path) {
    const std::string_view start(reinterpret_cast<const char*>(bytes.data()),
                                 std::min(bytes.size(), base_magic.size()));
    if (start != base_magic.substr(0, start.size())) {
        return malformed_base(path,
                              fmt::format("header, magic is '{}', not '{}': this is no base file of llama-perplexity",
                                          printable(start), base_magic),
                              0);
    }
    if (bytes.size() < base_header_bytes) {
        return malformed_base(
            path, fmt::format("header needs {} bytes, but the file has {}", base_header_bytes, bytes.size()), 0);
    }
    KlBaseShape shape;
    std::uint64_t offset = base_magic.size();
    for (const Count& count : counts) {
        const auto value = load<std::int32_t>(bytes.data() + offset);
        if (value < count.least) {
            return malformed_base(path, fmt::format("{} is {}; it must be {} at least", count.name, value, count.least),
                                  offset);
        }
        shape.*count.value = value;
        offset += sizeof(value);
    }
    return shape;
}

}  // namespace

Result<std::uint64_t> kl_base_file_bytes(const KlBaseShape& shape) {
    for (const Count& count : counts) {
        const std::int64_t value = shape.*count.value;
        if (value < count.least || value > largest_count) {
            return Error{ErrorCode::invalid_argument, fmt::format("a base file cannot hold {} {}", count.name, value),
                         ""};
        }
    }
    const auto sizes = sizes_of(shape);
    if (!sizes) return Error{ErrorCode::invalid_argument, "a base file of this text would be too large", ""};
    return sizes->file;
}

BasePrediction::BasePrediction(const std::byte* row, std::int64_t vocabulary)
    : codes_(row + row_head_bytes), vocabulary_(vocabulary), scale_(load<float>(row)), minimum_(load<float>(row + 4)) {}

std::uint16_t BasePrediction::code(std::int64_t token) const {
    return load<std::uint16_t>(codes_ + 2 * token);
}

bool BasePrediction::well_formed() const {
    // The largest probability is 1 at most; the rest is for rounding.
    return std::isfinite(scale_) && scale_ >= 0.0F && std::isfinite(minimum_) &&
           scale_ * static_cast<float>(top_code) + minimum_ <= 0.01F;
}

void encode_base_prediction(std::span<const float> logits, std::byte* row) {
    const auto [least, most] = std::minmax_element(logits.begin(), logits.end());
    const float largest = *most;
    const float smallest = std::max(*least, largest - base_depth);
    double sum = 0;
    for (const float x : logits)
        sum += std::exp(static_cast<double>(x - largest));
    const float scale = (largest - smallest) / static_cast<float>(top_code);
    const float inverse = scale > 0.0F ? 1.0F / scale : 0.0F;
    store(row, scale);
    store(row + 4, smallest - largest - static_cast<float>(std::log(sum)));
    std::byte* codes = row + row_head_bytes;
    for (std::size_t i = 0; i < logits.size(); ++i) {
        const float place = std::clamp((logits[i] - smallest) * inverse, 0.0F, static_cast<float>(top_code));
        store(codes + 2 * i, static_cast<std::uint16_t>(std::nearbyint(place)));
    }
    if (logits.size() % 2 != 0) store(codes + 2 * logits.size(), std::uint16_t{0});
}

Result<KlBase> KlBase::open(const std::string& path) {
    KlBase base;
    PUNA_TRY(base.mapping_, base::FileMapping::open(path));
    const std::span<const std::byte> bytes = base.mapping_->bytes();
    PUNA_TRY(base.shape_, read_header(bytes, path));
    const KlBaseShape& shape = base.shape_;
    const auto sizes = sizes_of(shape);
    if (!sizes || sizes->file != bytes.size()) {
        PUNA_CHECK(base.mapping_->check());
        return malformed_base(
            path,
            fmt::format("{} chunks of {} tokens with a vocabulary of {} take {} bytes, but the file has "
                        "{}",
                        shape.chunks, shape.chunk_tokens, shape.vocabulary,
                        sizes ? fmt::format("{}", sizes->file) : "more than 2^64", bytes.size()),
            bytes.size());
    }
    base.rows_begin_ = base_header_bytes + sizes->tokens;
    base.tokens_.resize(sizes->tokens / sizeof(TokenId));
    std::memcpy(base.tokens_.data(), bytes.data() + base_header_bytes, sizes->tokens);
    PUNA_CHECK(base.mapping_->check());
    for (std::size_t i = 0; i < base.tokens_.size(); ++i) {
        if (base.tokens_[i] >= 0 && base.tokens_[i] < shape.vocabulary) continue;
        return malformed_base(path, fmt::format("token {} is {}; n_vocab is {}", i, base.tokens_[i], shape.vocabulary),
                              base_header_bytes + i * sizeof(TokenId));
    }
    return base;
}

Result<BasePrediction> KlBase::prediction(std::int64_t chunk, std::int64_t index) const {
    const auto row = static_cast<std::uint64_t>(chunk * shape_.predictions() + index);
    const std::uint64_t offset = rows_begin_ + row * shape_.row_bytes();
    const BasePrediction prediction(mapping_->bytes().data() + offset, shape_.vocabulary);
    if (prediction.well_formed()) return prediction;
    PUNA_CHECK(mapping_->check());
    return malformed_base(
        path(), fmt::format("prediction {} of chunk {}: scale and minimum are no log-probabilities", index, chunk),
        offset);
}

Result<KlBaseWriter> KlBaseWriter::create(const std::string& path, const KlBaseShape& shape,
                                          std::span<const TokenId> tokens) {
    PUNA_CHECK(kl_base_file_bytes(shape));
    PUNA_TRY(base::AtomicFile file, base::AtomicFile::create(path, base::AtomicFile::Access::as_usual));
    std::vector<std::byte> header(base_header_bytes);
    std::memcpy(header.data(), base_magic.data(), base_magic.size());
    std::uint64_t offset = base_magic.size();
    for (const Count& count : counts) {
        store(header.data() + offset, static_cast<std::int32_t>(shape.*count.value));
        offset += sizeof(std::int32_t);
    }
    PUNA_CHECK(file.write(header));
    PUNA_CHECK(file.write(std::as_bytes(tokens)));
    return KlBaseWriter(std::move(file));
}

}  // namespace puna::formats
