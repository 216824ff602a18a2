// Models of random weights in memory, in the shapes and types of real ones: something to measure without a download.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/thread_pool.h"
#include "convert/mix.h"
#include "formats/gguf/writer.h"
#include "formats/model_file.h"
#include "puna/error.h"
#include "quant/tensor_type.h"

namespace puna::convert {

/// A model of the LLaMA architecture by its sizes.
struct ModelShape {
    std::string_view name;
    std::uint64_t layers;
    std::uint64_t embedding;  // d; `heads` divide it
    std::uint64_t feed_forward;
    std::uint64_t heads;
    std::uint64_t kv_heads;
    std::uint64_t vocabulary;  // at least `least_vocabulary`
    std::uint64_t context;
    bool tied;              // the embedding is the output head too
    std::string_view like;  // a model that has this shape, for people
};
inline constexpr std::uint64_t least_vocabulary = 3 + 256 + 95;  // control tokens, bytes, single characters

/// The shapes that have a name, smallest first.
std::span<const ModelShape> named_shapes();

struct RandomModelSpec {
    ModelShape shape;
    const Mix* mix;  // which matrix gets which type
    bool pure;       // all of them in the mix's base type
};
/// "1b:Q4_0", "1b:pure:Q4_K": a shape and what quantize would make of it. Letter case does not matter in types.
/// Errors: invalid_argument, which lists what there is.
Result<RandomModelSpec> parse_random_model(std::string_view text);

struct RandomModel {
    std::shared_ptr<const formats::ModelFile> file;  // owns the tensors' memory
    formats::gguf::FileLayout layout;                // of the file that `write_random_model` makes
};

/// The same spec gives the same bytes, whatever the pool. Every matrix repeats a few hundred rows, of which each is
/// random: so it takes little longer than filling the memory. Norms are 1. Its vocabulary is made up.
/// `stopped` is asked before each tensor. Errors: out_of_memory, cancelled.
Result<RandomModel> make_random_model(const RandomModelSpec& spec, base::ThreadPool& pool,
                                      const std::function<bool()>& stopped = {});

inline constexpr std::uint64_t random_rows = 256;
/// `random_rows` rows of `columns` random weights in `type`, one behind the other. Their variance is 1 / columns, so
/// that a product keeps the size of its input. `columns`: whole blocks of a type that can be written.
std::vector<std::byte> make_random_rows(const quant::TypeInfo& type, std::uint64_t columns, base::ThreadPool& pool);

/// As a GGUF v3 file, which other programs load too; it appears when it is whole. `stopped` is asked before each
/// tensor. Errors: io_error, cancelled.
Result<void> write_random_model(const RandomModel& model, const std::string& path,
                                const std::function<bool()>& stopped = {});

}  // namespace puna::convert
