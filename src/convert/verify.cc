#include "convert/verify.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "base/try.h"
#include "convert/tensor_values.h"
#include "formats/gguf/layout.h"
#include "store/sha256.h"

namespace puna::convert {
namespace {

using formats::FoundTensor;
using formats::TensorPart;
using quant::TensorType;

// Pieces between two calls of `progress`.
constexpr std::uint64_t pieces_at_once = 256;
// Bytes without weights that are read between two calls of `progress`.
constexpr std::uint64_t gap_step = std::uint64_t{32} << 20;

struct NonFinite {
    std::uint64_t nans = 0;
    std::uint64_t infinities = 0;
    std::optional<std::uint64_t> first;
};

/// Of values whose first is element `first` of the tensor.
NonFinite count_non_finite(const double* values, std::uint64_t elements, std::uint64_t first) {
    NonFinite count;
    for (std::uint64_t i = 0; i < elements; ++i) {
        if (std::isfinite(values[i])) continue;
        ++(std::isnan(values[i]) ? count.nans : count.infinities);
        if (!count.first) count.first = first + i;
    }
    return count;
}

/// Integers need no look: they are finite.
bool may_be_non_finite(TensorType type) {
    return has_values(type) && type != TensorType::I8 && type != TensorType::I16 && type != TensorType::I32 &&
           type != TensorType::I64;
}

/// A part of a tensor in the file that is read, or in memory.
struct TensorPlace {
    std::size_t tensor;
    const TensorPart* part;
    std::uint64_t first_element;  // of the tensor, in this part
};

class Verifier {
  public:
    Verifier(const formats::ModelFile& model, base::ThreadPool& pool, const VerifyProgress& progress)
        : model_(model),
          pool_(pool),
          progress_(progress),
          scratch_(pool.size() * piece_elements),
          counts_(model.tensors.size()) {}

    Result<Verification> run() {
        for (const auto& mapping : model_.mappings)
            all_ += mapping->bytes().size();
        PUNA_CHECK(advance(0));
        for (const auto& mapping : model_.mappings)
            PUNA_CHECK(read(*mapping));
        PUNA_CHECK(scan_copies());
        // Zeros in place of a file that was cut short look fine: ask before the result is believed.
        PUNA_CHECK(model_.check_mappings());
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            const FoundTensor& tensor = model_.tensors[i];
            if (!has_values(tensor.type)) {
                result_.not_scanned.push_back(&tensor);
                continue;
            }
            result_.elements_scanned += tensor.elements();
            const NonFinite& count = counts_[i];
            if (count.first) result_.non_finite.push_back({&tensor, count.nans, count.infinities, *count.first});
        }
        return std::move(result_);
    }

  private:
    std::vector<TensorPlace> places_in(const base::FileMapping& mapping) const {
        std::vector<TensorPlace> places;
        for (std::size_t i = 0; i < model_.tensors.size(); ++i) {
            const quant::TypeInfo& type = quant::type_info(model_.tensors[i].type);
            std::uint64_t element = 0;
            for (const TensorPart& part : model_.tensors[i].parts) {
                const bool here = part.mapping.get() == &mapping && part.view == nullptr;
                if (here) places.push_back({i, &part, element});
                element += part.bytes() / type.block_bytes * type.block_elements;
            }
        }
        std::sort(places.begin(), places.end(),
                  [](const TensorPlace& a, const TensorPlace& b) { return a.part->data.data() < b.part->data.data(); });
        return places;
    }

    Result<void> read(const base::FileMapping& mapping) {
        PUNA_TRY(store::Sha256 digest, store::Sha256::create());
        mapping_ = &mapping;
        digest_ = &digest;
        hashed_ = 0;
        const std::vector<TensorPlace> places = places_in(mapping);
        VerifiedFile file = {mapping.path(), mapping.bytes().size(), places.size(), 0, 0, ""};
        for (const TensorPlace& place : places) {
            PUNA_CHECK(hash_to(offset_of(place.part->data)));
            PUNA_CHECK(scan(place));
            file.tensor_bytes += place.part->data.size();
        }
        const bool is_padded = model_.dialect == formats::Dialect::gguf || model_.dialect == formats::Dialect::ggml;
        if (!places.empty() && is_padded) {  // the readers of others take account of every byte
            PUNA_TRY(const auto stored, model_.metadata.unsigned_integer("general.alignment"));
            const std::uint64_t alignment =
                std::max<std::uint64_t>(stored.value_or(formats::gguf::default_alignment), 1);
            const std::uint64_t rest = file.bytes - hashed_;
            const std::uint64_t padding = (alignment - hashed_ % alignment) % alignment;
            file.trailing_bytes = rest - std::min(rest, padding);
        }
        PUNA_CHECK(hash_to(file.bytes));
        PUNA_TRY(file.sha256, digest.finish());
        result_.files.push_back(std::move(file));
        return {};
    }

    std::uint64_t offset_of(std::span<const std::byte> data) const {
        return static_cast<std::uint64_t>(data.data() - mapping_->bytes().data());
    }

    /// Takes the file's bytes up to `end` into the digest, but for those that are in it.
    Result<void> hash_to(std::uint64_t end) {
        while (hashed_ < end) {
            const auto step = mapping_->bytes().subspan(hashed_, std::min(gap_step, end - hashed_));
            digest_->update(step);
            PUNA_CHECK(done_with(step));
        }
        return {};
    }

    /// What lies in no file, or not in order there: it goes into no digest, or did as bytes between tensors.
    Result<void> scan_copies() {
        mapping_ = nullptr;
        for (std::size_t i = 0; i < model_.tensors.size(); ++i) {
            const quant::TypeInfo& type = quant::type_info(model_.tensors[i].type);
            std::uint64_t element = 0;
            for (const TensorPart& part : model_.tensors[i].parts) {
                if ((part.mapping == nullptr || part.view != nullptr) && may_be_non_finite(type.type)) {
                    PUNA_TRY(const TensorPart copy, part.in_order());
                    PUNA_CHECK(scan({i, &copy, element}));
                }
                element += part.bytes() / type.block_bytes * type.block_elements;
            }
        }
        return {};
    }

    Result<void> scan(const TensorPlace& place) {
        const quant::TypeInfo& type = quant::type_info(model_.tensors[place.tensor].type);
        const std::span<const std::byte> data = place.part->data;
        if (!may_be_non_finite(type.type)) return hash_to(offset_of(data) + data.size());
        const std::uint64_t piece_bytes = bytes_of(type, piece_elements);
        for (std::uint64_t begin = 0; begin < data.size(); begin += pieces_at_once * piece_bytes) {
            const auto chunk =
                data.subspan(begin, std::min<std::uint64_t>(pieces_at_once * piece_bytes, data.size() - begin));
            // Tensors of some formats may share bytes, which go into the digest once.
            const auto unhashed = unhashed_of(chunk);
            const std::uint64_t pieces = (chunk.size() + piece_bytes - 1) / piece_bytes;
            const std::uint64_t element = place.first_element + begin / type.block_bytes * type.block_elements;
            piece_counts_.assign(pieces, {});
            // The digest, which goes byte by byte, is one task beside the others.
            pool_.run(pieces + 1, [&](std::size_t index, std::size_t worker) {
                if (index == 0) {
                    if (!unhashed.empty()) digest_->update(unhashed);
                    return;
                }
                const std::uint64_t first = (index - 1) * piece_bytes;
                const auto piece = chunk.subspan(first, std::min<std::uint64_t>(piece_bytes, chunk.size() - first));
                const std::uint64_t elements = piece.size() / type.block_bytes * type.block_elements;
                double* const values = scratch_.data() + worker * piece_elements;
                read_values(type.type, piece.data(), values, elements);
                piece_counts_[index - 1] = count_non_finite(values, elements, element + (index - 1) * piece_elements);
            });
            for (const NonFinite& count : piece_counts_)
                add(counts_[place.tensor], count);
            PUNA_CHECK(done_with(unhashed));
        }
        return {};
    }

    std::span<const std::byte> unhashed_of(std::span<const std::byte> chunk) const {
        if (mapping_ == nullptr) return {};
        return chunk.subspan(std::min<std::uint64_t>(hashed_ - offset_of(chunk), chunk.size()));
    }

    static void add(NonFinite& sum, const NonFinite& count) {
        sum.nans += count.nans;
        sum.infinities += count.infinities;
        if (!sum.first) sum.first = count.first;
    }

    Result<void> done_with(std::span<const std::byte> bytes) {
        hashed_ += bytes.size();
        if (mapping_ != nullptr) mapping_->release_pages(bytes);
        return advance(bytes.size());
    }

    Result<void> advance(std::uint64_t bytes) {
        done_ += bytes;
        if (!progress_ || progress_(done_, all_)) return {};
        return Error{ErrorCode::cancelled, "interrupted; the model was not read to its end", ""};
    }

    const formats::ModelFile& model_;
    base::ThreadPool& pool_;
    const VerifyProgress& progress_;
    std::vector<double> scratch_;          // [threads][piece_elements]
    std::vector<NonFinite> counts_;        // [tensors]
    std::vector<NonFinite> piece_counts_;  // [pieces of the chunk]
    Verification result_;
    std::uint64_t done_ = 0;
    std::uint64_t all_ = 0;

    // Of the file that is read; null for copies in memory.
    const base::FileMapping* mapping_ = nullptr;
    store::Sha256* digest_ = nullptr;
    std::uint64_t hashed_ = 0;  // bytes from its start
};

}  // namespace

Result<Verification> verify_model(const formats::ModelFile& model, base::ThreadPool& pool,
                                  const VerifyProgress& progress) {
    return Verifier(model, pool, progress).run();
}

}  // namespace puna::convert
