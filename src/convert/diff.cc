#include "convert/diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <set>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/try.h"
#include "convert/tensor_values.h"
#include "formats/gguf/layout.h"
#include "formats/gguf/vocabulary_keys.h"
#include "formats/printable.h"

namespace puna::convert {
namespace {

using formats::FoundTensor;
using formats::MetadataArray;
using formats::MetadataValue;
using formats::ModelFile;

// ---- Metadata ----

constexpr std::string_view value_type_names[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                                 "bool", "string", "array", "u64", "i64", "f64"};
static_assert(std::size(value_type_names) == formats::gguf::value_type_count);

/// All that the metadata held before the vocabulary's arrays were taken out.
std::map<std::string, MetadataValue, std::less<>> all_values(const ModelFile& model) {
    auto values = model.metadata.values;
    const auto put_back = [&](std::string_view view, auto elements) {
        const std::string key(view);
        const bool was_there = model.metadata.stored_types.contains(key) || !elements.empty();
        if (was_there) values.try_emplace(key, MetadataArray(std::move(elements)));
    };
    const text::Vocabulary& vocabulary = model.vocabulary;
    put_back(formats::gguf::tokens_key, vocabulary.tokens);
    put_back(formats::gguf::merges_key, vocabulary.merges);
    put_back(formats::gguf::scores_key, std::vector<double>(vocabulary.scores.begin(), vocabulary.scores.end()));
    std::vector<std::int64_t> kinds;
    for (const text::TokenKind kind : vocabulary.kinds)
        kinds.push_back(static_cast<std::int64_t>(kind));
    put_back(formats::gguf::kinds_key, std::move(kinds));
    return values;
}

template <typename T>
bool same_element(const T& a, const T& b) {
    if constexpr (std::is_same_v<T, double>) {
        return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);  // NaN is itself; -0 is not 0
    } else {
        return a == b;
    }
}

/// The index of the first element that differs (the shorter's length if one begins the other); nullopt if none does.
template <typename T>
std::optional<std::uint64_t> first_difference(const std::vector<T>& a, const std::vector<T>& b) {
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
        if (!same_element<T>(a[i], b[i])) return i;
    }
    if (a.size() == b.size()) return std::nullopt;
    return std::min(a.size(), b.size());
}

struct Comparison {
    bool same = false;
    std::optional<std::uint64_t> first;  // of arrays of one kind
};

Comparison compare(const MetadataValue& a, const MetadataValue& b) {
    if (a.index() != b.index()) return {};
    return std::visit(
        [&](const auto& x) -> Comparison {
            using Value = std::decay_t<decltype(x)>;
            const Value& y = std::get<Value>(b);
            if constexpr (std::is_same_v<Value, MetadataArray>) {
                if (x.index() != y.index()) return {};
                return std::visit(
                    [&](const auto& elements) -> Comparison {
                        const auto first = first_difference(elements, std::get<std::decay_t<decltype(elements)>>(y));
                        return {!first, first};
                    },
                    x);
            } else {
                return {same_element<Value>(x, y), {}};
            }
        },
        a);
}

template <typename T>
std::string element_words(const T& value) {
    if constexpr (std::is_same_v<T, std::string>) {
        return fmt::format("\"{}\"", formats::printable(value));
    } else {
        return fmt::format("{}", value);
    }
}

/// "u32 4096", "string[300]"; of an array with `element`, that one too: "string[300], [7] is \"a\"".
std::string value_words(const ModelFile& model, const std::string& key, const MetadataValue& value,
                        std::optional<std::uint64_t> element) {
    const auto stored = model.metadata.stored_types.find(key);
    const bool known = stored != model.metadata.stored_types.end() && stored->second < std::size(value_type_names);
    const std::string_view type = known ? value_type_names[stored->second] : "value";
    return std::visit(
        [&](const auto& v) -> std::string {
            if constexpr (std::is_same_v<std::decay_t<decltype(v)>, MetadataArray>) {
                return std::visit(
                    [&](const auto& elements) {
                        std::string words = fmt::format("{}[{}]", type, elements.size());
                        if (!element || *element >= elements.size()) return words;
                        using T = typename std::decay_t<decltype(elements)>::value_type;
                        const T& one = elements[*element];
                        return fmt::format("{}, [{}] is {}", words, *element, element_words<T>(one));
                    },
                    v);
            } else {
                return fmt::format("{} {}", type, element_words(v));
            }
        },
        value);
}

std::vector<KeyDifference> diff_metadata(const ModelFile& a, const ModelFile& b) {
    const auto values_a = all_values(a);
    const auto values_b = all_values(b);
    std::set<std::string> keys;
    for (const auto* values : {&values_a, &values_b}) {
        for (const auto& [key, value] : *values) {
            if (!key.starts_with(formats::gguf::shard_prefix)) keys.insert(key);
        }
    }
    const auto stored = [](const ModelFile& model, const std::string& key) {
        const auto found = model.metadata.stored_types.find(key);
        return found == model.metadata.stored_types.end() ? std::optional<std::uint32_t>() : found->second;
    };
    std::vector<KeyDifference> differences;
    for (const std::string& key : keys) {
        const auto in_a = values_a.find(key);
        const auto in_b = values_b.find(key);
        const bool both = in_a != values_a.end() && in_b != values_b.end();
        const Comparison comparison = both ? compare(in_a->second, in_b->second) : Comparison();
        if (comparison.same && stored(a, key) == stored(b, key)) continue;
        KeyDifference difference = {.key = key, .first = comparison.first};
        if (in_a != values_a.end()) difference.a = value_words(a, key, in_a->second, comparison.first);
        if (in_b != values_b.end()) difference.b = value_words(b, key, in_b->second, comparison.first);
        differences.push_back(std::move(difference));
    }
    return differences;
}

// ---- Tensors ----

// Pieces between two calls of `progress`.
constexpr std::uint64_t chunk_pieces = 256;

/// Of one piece; summed in ascending order, so that the result does not depend on the threads.
struct Sums {
    std::uint64_t changed = 0;
    double largest = 0;
    double squares = 0;  // of a - b
    double squares_of_a = 0;
};

/// Once it is NaN it stays.
void keep_largest(double& largest, double value) {
    if (!std::isnan(largest) && !(value <= largest)) largest = value;
}

Sums compare_values(const double* a, const double* b, std::uint64_t count) {
    Sums sums;
    for (std::uint64_t i = 0; i < count; ++i) {
        sums.squares_of_a += a[i] * a[i];
        if (same_element(a[i], b[i])) continue;  // two equal infinities are no NaN apart
        const double difference = a[i] - b[i];
        ++sums.changed;
        keep_largest(sums.largest, std::abs(difference));
        sums.squares += difference * difference;
    }
    return sums;
}

class TensorDiff {
  public:
    TensorDiff(const ModelFile& a, const ModelFile& b, bool weights, base::ThreadPool& pool,
               const DiffProgress& progress)
        : a_(a), b_(b), weights_(weights), pool_(pool), progress_(progress) {}

    Result<std::vector<TensorDifference>> run() {
        for (const FoundTensor& tensor : a_.tensors)
            all_ += tensor.bytes();
        PUNA_CHECK(progress_at(0));
        std::uint64_t before = 0;
        for (const FoundTensor& tensor : a_.tensors) {
            const FoundTensor* other = b_.find_tensor(tensor.name);
            if (other == nullptr) {
                differences_.push_back({&tensor, nullptr, {}});
            } else {
                PUNA_CHECK(compare(tensor, *other, before));
            }
            before += tensor.bytes();
            PUNA_CHECK(progress_at(before));
        }
        for (const FoundTensor& tensor : b_.tensors) {
            if (a_.find_tensor(tensor.name) == nullptr) differences_.push_back({nullptr, &tensor, {}});
        }
        // Zeros in place of a file that was cut short may look like anything.
        PUNA_CHECK(a_.check_mappings());
        PUNA_CHECK(b_.check_mappings());
        return std::move(differences_);
    }

  private:
    Result<void> compare(const FoundTensor& a, const FoundTensor& b, std::uint64_t before) {
        const bool same_form = a.type == b.type && a.shape == b.shape;
        if (!weights_ || a.shape != b.shape) {
            if (!same_form) differences_.push_back({&a, &b, {}});
            return {};
        }
        if (same_form) {
            PUNA_TRY(const bool same, same_bytes(a, b, before));
            if (same) return {};
        }
        if (!has_values(a.type) || !has_values(b.type)) {
            differences_.push_back({&a, &b, {}});
            return {};
        }
        PUNA_TRY(const WeightDistance distance, measure(a, b, before));
        differences_.push_back({&a, &b, distance});
        return {};
    }

    Result<bool> same_bytes(const FoundTensor& a, const FoundTensor& b, std::uint64_t before) const {
        PUNA_TRY(const TensorElements x, TensorElements::open(a));
        PUNA_TRY(const TensorElements y, TensorElements::open(b));
        const quant::TypeInfo& type = x.type();
        constexpr std::uint64_t step = chunk_pieces * piece_elements;
        for (std::uint64_t begin = 0; begin < x.count(); begin += step) {
            const std::uint64_t count = std::min(step, x.count() - begin);
            bool same = true;
            std::uint64_t next = begin;
            x.for_each_stretch(begin, count, [&](std::span<const std::byte> bytes, std::size_t) {
                const std::uint64_t size = bytes.size() / type.block_bytes * type.block_elements;
                y.for_each_stretch(next, size, [&](std::span<const std::byte> other, std::size_t) {
                    same = same && std::memcmp(bytes.data(), other.data(), other.size()) == 0;
                    bytes = bytes.subspan(other.size());
                });
                next += size;
            });
            x.release(begin, count);
            y.release(begin, count);
            if (!same) return false;
            PUNA_CHECK(progress_at(before + bytes_of(type, begin + count)));
        }
        return true;
    }

    Result<WeightDistance> measure(const FoundTensor& a, const FoundTensor& b, std::uint64_t before) {
        scratch_.resize(pool_.size() * 2 * piece_elements);
        const std::uint64_t elements = a.elements();
        PUNA_TRY(const TensorElements elements_a, TensorElements::open(a));
        PUNA_TRY(const TensorElements elements_b, TensorElements::open(b));
        Sums all;
        for (std::uint64_t begin = 0; begin < elements; begin += chunk_pieces * piece_elements) {
            const std::uint64_t count = std::min(chunk_pieces * piece_elements, elements - begin);
            sums_.assign((count + piece_elements - 1) / piece_elements, {});
            pool_.run(sums_.size(), [&](std::size_t index, std::size_t worker) {
                const std::uint64_t first = begin + index * piece_elements;
                const std::uint64_t n = std::min(piece_elements, begin + count - first);
                double* const x = scratch_.data() + worker * 2 * piece_elements;
                double* const y = x + piece_elements;
                elements_a.read(first, n, x);
                elements_b.read(first, n, y);
                sums_[index] = compare_values(x, y, n);
            });
            for (const Sums& sums : sums_) {
                all.changed += sums.changed;
                keep_largest(all.largest, sums.largest);
                all.squares += sums.squares;
                all.squares_of_a += sums.squares_of_a;
            }
            elements_a.release(begin, count);
            elements_b.release(begin, count);
            PUNA_CHECK(progress_at(before + bytes_of(elements_a.type(), begin + count)));
        }
        const double relative = all.squares == 0 ? 0.0 : std::sqrt(all.squares / all.squares_of_a);
        return WeightDistance{all.changed, all.largest, relative};
    }

    Result<void> progress_at(std::uint64_t done) const {
        if (!progress_ || progress_(done, all_)) return {};
        return Error{ErrorCode::cancelled, "interrupted; the models were not compared to their ends", ""};
    }

    const ModelFile& a_;
    const ModelFile& b_;
    bool weights_;
    base::ThreadPool& pool_;
    const DiffProgress& progress_;
    std::uint64_t all_ = 0;
    std::vector<TensorDifference> differences_;
    std::vector<double> scratch_;  // [threads][2][piece_elements]
    std::vector<Sums> sums_;       // [pieces of the chunk]
};

}  // namespace

Result<ModelDifference> diff_models(const ModelFile& a, const ModelFile& b, bool weights, base::ThreadPool& pool,
                                    const DiffProgress& progress) {
    ModelDifference difference;
    difference.keys = diff_metadata(a, b);
    PUNA_TRY(difference.tensors, TensorDiff(a, b, weights, pool, progress).run());
    return difference;
}

}  // namespace puna::convert
