// Where two models differ.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "formats/model_file.h"
#include "puna/error.h"

namespace puna::convert {

/// A key of the metadata (vocabulary included) that one side lacks, or whose values differ in content or stored type.
struct KeyDifference {
    std::string key;
    std::optional<std::string> a;  // type and value in words; none where the side lacks the key
    std::optional<std::string> b;
    std::optional<std::uint64_t> first;  // of two arrays of one type: the first element that differs
};

/// How far the weights of two tensors of one shape are apart. NaN where weights are no numbers.
struct WeightDistance {
    std::uint64_t elements_changed = 0;
    double largest = 0;       // of |a - b|
    double relative_rms = 0;  // sqrt(sum of (a - b)^2 / sum of a^2); infinite where a is zero and b is not
};

struct TensorDifference {
    const formats::FoundTensor* a;  // null where the side lacks the tensor
    const formats::FoundTensor* b;
    std::optional<WeightDistance> distance;  // none if shapes differ, weights cannot be decoded, or were not compared
};

struct ModelDifference {
    std::vector<KeyDifference> keys;        // in order of the keys
    std::vector<TensorDifference> tensors;  // in the order of a, then those that only b has in its own

    bool none() const { return keys.empty() && tensors.empty(); }
};

/// Called now and then with the bytes of a's tensors that are compared, and all of them; false ends the work.
using DiffProgress = std::function<bool(std::uint64_t done, std::uint64_t all)>;

/// Keys that tell how a model is laid into files ("split.") are left out, and so are the tensors' order and places.
/// Without `weights`, tensors are compared by name, type and shape alone. The pointers are into `a` and `b`.
/// Models of two dialects are compared by their own names; in_gguf_dialect gives them the same. Errors: cancelled,
/// file_changed.
Result<ModelDifference> diff_models(const formats::ModelFile& a, const formats::ModelFile& b, bool weights,
                                    base::ThreadPool& pool, const DiffProgress& progress);

}  // namespace puna::convert
