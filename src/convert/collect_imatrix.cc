#include "convert/collect_imatrix.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "base/try.h"
#include "convert/mix.h"
#include "formats/printable.h"
#include "store/sha256.h"

namespace puna::convert {

ImatrixCollector::ImatrixCollector(const formats::ModelFile& file, bool with_head, formats::Imatrix& into)
    : into_(into) {
    const std::string_view head = traits_of(file).head;
    for (const formats::FoundTensor& tensor : file.tensors) {
        if (tensor.parts.empty() || (tensor.name == head && !with_head)) continue;
        // All parts of a tensor meet the same input. Where GGUF has rows in another order, the first is still the
        // first.
        names_[tensor.parts.front().data.data()] = tensor.name;
    }
}

void ImatrixCollector::observe(const nn::Compute& compute, std::span<const nn::LinearTask> tasks,
                               const kernels::ActivationMatrix& input) {
    constexpr std::int64_t columns_per_claim = 64;
    const auto columns = static_cast<std::size_t>(input.columns);
    for (const nn::LinearTask& task : tasks) {
        const auto name = names_.find(task.weights->data);
        if (name == names_.end()) continue;
        formats::ImatrixEntry& entry = into_.entries[name->second];
        entry.squares.resize(columns);
        entry.rows.resize(1);
        entry.rows[0] += static_cast<double>(input.rows);
        double* const squares = entry.squares.data();
        const std::int64_t claims = (input.columns + columns_per_claim - 1) / columns_per_claim;
        compute.pool.run(static_cast<std::size_t>(claims), [&](std::size_t claim, std::size_t) {
            const std::int64_t begin = static_cast<std::int64_t>(claim) * columns_per_claim;
            const std::int64_t end = std::min(begin + columns_per_claim, input.columns);
            for (std::int64_t row = 0; row < input.rows; ++row) {
                const auto* x =
                    reinterpret_cast<const float*>(input.data + static_cast<std::size_t>(row) * input.row_bytes);
                for (std::int64_t c = begin; c < end; ++c)
                    squares[c] += double{x[c]} * double{x[c]};
            }
        });
    }
}

Result<void> ImatrixCollector::check() const {
    for (const auto& [name, entry] : into_.entries) {
        const bool finite =
            std::all_of(entry.squares.begin(), entry.squares.end(), [](double sum) { return std::isfinite(sum); });
        if (finite) continue;
        return Error{ErrorCode::invalid_number,
                     fmt::format("the activations before '{}' are no finite numbers", formats::printable(name)),
                     "are the weights damaged? 'puna verify' looks at them all"};
    }
    return {};
}

Result<std::int64_t> imatrix_chunks(const ChunkedText& text, const ImatrixOptions& options) {
    const std::int64_t chunks = text.chunks();
    if (chunks == 0) return text_too_short(text.tokens.size(), text.chunk_tokens);
    return options.chunks > 0 ? std::min(chunks, options.chunks) : chunks;
}

Result<void> collect_imatrix(Evaluator& evaluator, const ImatrixCollector& collector, const ChunkedText& text,
                             const ImatrixOptions& options, const ImatrixProgress& progress) {
    PUNA_TRY(const std::int64_t chunks, imatrix_chunks(text, options));
    const ChunkLayout layout = lay_out_chunks(text.chunk_tokens, options.batch_rows);
    for (std::int64_t first = options.first_chunk; first < chunks; first += layout.chunks) {
        const std::int64_t count = std::min(layout.chunks, chunks - first);
        ChunkSlots slots(evaluator, count);
        PUNA_CHECK(slots.reserve(text.chunk_tokens));
        for (std::int64_t from = 0; from < text.chunk_tokens; from += layout.span) {
            const std::int64_t to = std::min(from + layout.span, text.chunk_tokens);
            const auto wants_logits = [&](std::int64_t) { return options.with_head; };
            PUNA_CHECK(evaluator.forward(slots.batch(text, first, from, to, wants_logits)));
        }
        PUNA_CHECK(collector.check());
        PUNA_CHECK(progress(first + count, chunks));
    }
    return {};
}

Result<std::string> imatrix_text_digest(const ChunkedText& text) {
    PUNA_TRY(store::Sha256 digest, store::Sha256::create());
    const std::array<std::int64_t, 2> scheme = {text.begin.value_or(-1), text.chunk_tokens};
    digest.update(std::as_bytes(std::span(scheme)));
    digest.update(std::as_bytes(text.tokens));
    return digest.finish();
}

}  // namespace puna::convert
