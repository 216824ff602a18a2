// What every reader in `formats/` yields: metadata, a vocabulary, and tensors as they lie in the mapped files.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/file_mapping.h"
#include "formats/strided_view.h"
#include "puna/error.h"
#include "quant/tensor_type.h"
#include "text/vocabulary.h"

namespace puna::formats {

/// Whose names the tensors and metadata carry; a model family's file maps each dialect that it knows.
enum class Dialect { gguf, huggingface, meta, ggml };

using MetadataArray = std::variant<std::vector<std::uint64_t>, std::vector<std::int64_t>, std::vector<double>,
                                   std::vector<bool>, std::vector<std::string>>;
/// Integers are widened to 64 bits, F32 to double (exactly).
using MetadataValue = std::variant<std::uint64_t, std::int64_t, double, bool, std::string, MetadataArray>;

/// Key-value pairs of a file. Typed getters: nullopt when the key is absent, an error when it holds another kind of
/// value or one out of range. Either kind of integer is accepted where it fits.
class Metadata {
  public:
    std::map<std::string, MetadataValue, std::less<>> values;
    std::map<std::string, std::uint64_t, std::less<>>
        offsets;  // bytes from the file's start to the value; for messages
    /// How the file stores the value, as a GGUF value type (gguf/layout.h); of an array, its elements' type. For
    /// whoever writes the value again. Like `offsets`, it keeps the keys whose values were moved to the vocabulary.
    std::map<std::string, std::uint32_t, std::less<>> stored_types;
    /// Of JSON: objects, and arrays whose elements are of several kinds or no scalars. No kind of value above holds
    /// them, so the getters refuse them; here is their text, cut, for messages.
    std::map<std::string, std::string, std::less<>> unheld;

    const MetadataValue* find(std::string_view key) const;
    Result<std::optional<std::uint64_t>> unsigned_integer(std::string_view key) const;
    Result<std::optional<double>> number(std::string_view key) const;
    Result<std::optional<bool>> boolean(std::string_view key) const;
    Result<std::optional<std::string>> string(std::string_view key) const;
    /// A scalar or an array of numbers, as doubles.
    Result<std::optional<std::vector<double>>> numbers(std::string_view key) const;
    /// For messages: "key 'llama.block_count' (at byte 312)"; without the place if it is not known.
    std::string describe(std::string_view key) const;
};

/// A piece of a tensor, whole blocks, in a mapped file or in memory. Where there is a `view`, `data` is what its
/// elements lie in, from the first to the last; without one they are the elements, in their order.
struct TensorPart {
    std::span<const std::byte> data;
    std::shared_ptr<const base::FileMapping> mapping;           // keeps `data` alive; null for data in memory
    std::shared_ptr<const std::vector<std::byte>> memory = {};  // keeps `data` alive that lie in no file
    std::shared_ptr<const StridedView> view = {};

    /// Of the elements.
    std::uint64_t bytes() const { return view == nullptr ? data.size() : view->bytes(); }
    /// The part without a view; with one, its elements copied into memory. Errors: out_of_memory.
    Result<TensorPart> in_order() const;
};

/// A tensor under the name found. Most have one part; a tensor that its format splits over files has several. Unless
/// `in_order` says so, the parts are not the elements in their order: ask `parts_in_order`, which does the work, and
/// whose result lives as long as the caller needs it. So a model can be read tensor by tensor in little memory.
struct FoundTensor {
    std::string name;
    quant::TensorType type;
    std::vector<std::uint64_t> shape;  // outermost dimension first: a matrix is {rows, columns}
    std::vector<TensorPart> parts;
    std::uint64_t record_offset = 0;  // bytes from the file's start to its entry in the tensor table; for messages
    /// The model lies in several files, and each part is a tensor of `shape` from one of them: slices along an axis
    /// that the family knows, or copies.
    bool unmerged = false;
    /// Makes parts in the order of the elements out of `parts` (which have no view then); null: they are.
    using Arrange = std::function<std::vector<TensorPart>(const std::vector<TensorPart>& parts)>;
    Arrange arrange = {};

    bool in_order() const;
    /// Parts whose data, one behind the other, are the elements. Those with a view are copied into memory. Errors:
    /// out_of_memory.
    Result<std::vector<TensorPart>> parts_in_order() const;

    /// That lie in the files: of an unmerged tensor, those of all its parts.
    std::uint64_t elements() const;
    std::uint64_t bytes() const;
    /// For messages: "tensor 'output.weight' (at byte 4711)".
    std::string describe() const;
};

/// The arrays of the file's metadata that fill `vocabulary` are moved there and no longer among `metadata.values`.
struct ModelFile {
    std::string path;  // as given
    Dialect dialect = Dialect::gguf;
    std::string format;        // "GGUF v3", for people
    std::string name;          // of the model, for people; may be empty
    std::string architecture;  // as the dialect calls it: "llama", ...; empty if the file does not say
    Metadata metadata;
    std::string metadata_path;  // of the file that holds them, for messages
    text::Vocabulary vocabulary;
    std::vector<FoundTensor> tensors;  // in file order
    std::vector<std::shared_ptr<const base::FileMapping>> mappings;
    std::uint64_t file_bytes = 0;  // of all files together

    /// Null if absent. O(log n); needs `index_tensors` to have run over the tensors there are.
    const FoundTensor* find_tensor(std::string_view tensor_name) const;
    /// For whoever fills `tensors`. False if two of them share a name (`duplicate` then points to the later one).
    bool index_tensors(const FoundTensor** duplicate = nullptr);
    /// file_changed once a mapping has lost its file; call it after work on mapped data.
    Result<void> check_mappings() const;
    /// Whether `path` is one of the model's files, by whatever name.
    bool has_file(const std::string& path) const;

  private:
    std::vector<std::uint32_t> by_name_;  // indices into `tensors`, in ascending order of name
};

/// What files of the formats before GGUF, and Meta's, leave out, where the user knows it. Metadata of the dialect ggml
/// hold it under "norm_eps", "rope_freq_base", "n_head_kv" and "n_ctx", of the dialect meta under "norm_eps",
/// "rope_theta", "n_kv_heads" and "max_seq_len".
struct MissingValues {
    std::optional<double> norm_epsilon;
    std::optional<double> rope_base;
    std::optional<std::uint32_t> kv_heads;
    std::optional<std::uint32_t> context;

    bool empty() const { return !norm_epsilon && !rope_base && !kv_heads && !context; }
};

/// Recognises the format by its content and reads it. For a shard, reads all shards. `path` may name a folder of
/// Hugging Face's or Meta's, or a file of weights in it.
/// Errors: file_not_found, file_unreadable, file_changed, unsupported_format, unsupported_tensor_type (a retired type),
/// file_malformed (message: file, field, what is wrong, byte offset), out_of_memory, invalid_argument (values for a
/// file that states its own).
Result<std::shared_ptr<const ModelFile>> read_model_file(const std::string& path, const MissingValues& given = {});

}  // namespace puna::formats
