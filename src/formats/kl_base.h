// Base files of llama-perplexity: one model's predictions over a text, for others to be compared with.
//
// The layout is that of its --kl-divergence-base (docs/formats/kl-base.md has the bytes).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "base/file_mapping.h"
#include "puna/error.h"
#include "puna/model.h"

namespace puna::formats {

/// What a base file is about: chunks of one length, and the predictions of each that count (perplexity.h has the
/// scheme).
struct KlBaseShape {
    std::int64_t chunk_tokens = 0;  // 3 to 2^31 - 1
    std::int64_t vocabulary = 0;    // 1 to 2^31 - 1
    std::int64_t chunks = 0;        // 1 to 2^31 - 1

    std::int64_t predictions() const { return chunk_tokens - 1 - chunk_tokens / 2; }  // of a chunk
    /// Bytes of one prediction.
    std::uint64_t row_bytes() const { return 8 + 4 * ((static_cast<std::uint64_t>(vocabulary) + 1) / 2); }
};
/// Errors: invalid_argument (numbers that the format cannot hold).
Result<std::uint64_t> kl_base_file_bytes(const KlBaseShape& shape);

/// Log-probabilities of all tokens at one place: log p(i) = scale * code(i) + minimum. Those 16 below the largest, and
/// all under it, have code 0.
class BasePrediction {
  public:
    BasePrediction(const std::byte* row, std::int64_t vocabulary);

    std::int64_t vocabulary() const { return vocabulary_; }
    std::uint16_t code(std::int64_t token) const;
    float log_probability(std::int64_t token) const { return scale_ * static_cast<float>(code(token)) + minimum_; }
    /// Whether scale and minimum are numbers that a prediction can have.
    bool well_formed() const;

  private:
    const std::byte* codes_;
    std::int64_t vocabulary_;
    float scale_;
    float minimum_;
};

/// Writes the prediction that `logits` are, [vocabulary], as the row_bytes bytes of `row`.
void encode_base_prediction(std::span<const float> logits, std::byte* row);

/// A base file that is read, mapped. Immutable and thread-safe.
class KlBase {
  public:
    /// Errors: file_not_found, file_unreadable, file_changed, file_malformed (the message names field and offset).
    static Result<KlBase> open(const std::string& path);

    const std::string& path() const { return mapping_->path(); }
    const KlBaseShape& shape() const { return shape_; }
    /// [chunks * chunk_tokens], each a token of the vocabulary. Of each chunk, the first is the text's, not the begin
    /// token that takes its place.
    const std::vector<TokenId>& tokens() const { return tokens_; }
    /// Prediction `index` of a chunk: at position chunk_tokens / 2 + index. Errors: file_malformed, file_changed.
    Result<BasePrediction> prediction(std::int64_t chunk, std::int64_t index) const;
    /// Errors: file_changed. Call it once all predictions were used, before the result is believed.
    Result<void> check() const { return mapping_->check(); }

  private:
    KlBase() = default;
    std::shared_ptr<const base::FileMapping> mapping_;
    KlBaseShape shape_;
    std::vector<TokenId> tokens_;
    std::uint64_t rows_begin_ = 0;
};

/// A base file that is written; nothing is seen of it before `commit`. For one thread at a time.
class KlBaseWriter {
  public:
    /// `tokens`: [chunks * chunk_tokens]. Errors: invalid_argument, io_error.
    static Result<KlBaseWriter> create(const std::string& path, const KlBaseShape& shape,
                                       std::span<const TokenId> tokens);
    /// The next predictions, whole rows, chunk after chunk. Errors: io_error.
    Result<void> write(std::span<const std::byte> rows) { return file_.write(rows); }
    /// After all of them. Errors: io_error.
    Result<void> commit() { return file_.commit(); }

  private:
    explicit KlBaseWriter(base::AtomicFile file) : file_(std::move(file)) {}
    base::AtomicFile file_;
};

}  // namespace puna::formats
