// Writes GGUF v3 files: first the whole layout, from which the file's size is known, then the tensors' data as a
// stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "formats/model_file.h"
#include "puna/error.h"
#include "quant/tensor_type.h"
#include "text/vocabulary.h"

namespace puna::formats::gguf {

/// An entry of the tensor table.
struct TensorEntry {
    std::string name;
    quant::TensorType type = quant::TensorType::F32;
    std::vector<std::uint64_t> shape;  // outermost dimension first
};

/// Where everything goes.
struct FileLayout {
    std::vector<std::byte> head;              // header, metadata and tensor table, padded to the data section
    std::vector<std::uint64_t> tensor_bytes;  // [tensors] of data each, in file order
    std::uint64_t alignment = 0;
    std::uint64_t file_bytes = 0;  // of the whole file, padding included
};

/// Which part of a model in several files a file is.
struct ShardPlace {
    std::uint64_t number = 0;   // from 0
    std::uint64_t count = 1;    // of files
    std::uint64_t tensors = 0;  // of the whole model
};

/// Metadata go out in the order in which they were read (keys that were not read follow, sorted), each in the type that
/// `stored_types` names (without one: u32 and i32 where they suffice, f32 where it is exact). The arrays of
/// `vocabulary` go back under the keys that they were taken from. Keys that belong to shards ("split.") are left out;
/// those of `place`, if it is given, stand at the end. Tensors keep the order of `tensors`. Errors: invalid_argument
/// for what the format, or the reader's limits (docs/formats/gguf.md), cannot hold.
Result<FileLayout> lay_out_file(const Metadata& metadata, const text::Vocabulary& vocabulary,
                                std::span<const TensorEntry> tensors, const ShardPlace* place = nullptr);
/// Bytes of the tensor's entry in the table, and of its data without padding. Errors: invalid_argument.
struct TensorSize {
    std::uint64_t entry;
    std::uint64_t data;
};
Result<TensorSize> size_of_tensor(const TensorEntry& tensor);

/// A file being written; nothing is seen of it before `commit`. For one thread at a time.
class Writer {
  public:
    /// Errors: io_error.
    static Result<Writer> create(const std::string& path, FileLayout layout);

    /// The next bytes of the tensors' data, which follow one another in the layout's order, whatever the pieces;
    /// padding between tensors is added here. Errors: io_error.
    Result<void> write(std::span<const std::byte> data);
    /// After all data were written: puts the file in place. Errors: io_error.
    Result<void> commit();

  private:
    Writer(base::AtomicFile file, FileLayout layout);
    Result<void> finish_tensors();

    base::AtomicFile file_;
    FileLayout layout_;
    std::size_t tensor_ = 0;     // the one that is being written
    std::uint64_t written_ = 0;  // bytes of its data
};

}  // namespace puna::formats::gguf
