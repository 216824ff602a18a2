// Writes GGML and GGMF files: first the whole layout, from which the file's size is known, then the tensors' data as a
// stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "formats/ggml/layout.h"
#include "formats/gguf/writer.h"
#include "formats/model_file.h"
#include "puna/error.h"

namespace puna::formats::ggml {

/// Where everything goes.
struct FileLayout {
    std::vector<std::byte> head;                  // magic, header and words
    std::vector<std::vector<std::byte>> records;  // [tensors], each before its data
    std::vector<std::uint64_t> tensor_bytes;      // [tensors] of data
    std::uint64_t file_bytes = 0;
};

/// `model`: of dialect ggml; its metadata hold the header's fields but for ftype, which follows from `tensors`: these
/// are written, in F32 and F16. Errors: invalid_argument for what the format, or the reader's limits, cannot hold;
/// unsupported_tokenizer.
Result<FileLayout> lay_out_file(const Container& container, const ModelFile& model,
                                std::span<const gguf::TensorEntry> tensors);

/// A file being written; nothing is seen of it before `commit`. For one thread at a time.
class Writer {
  public:
    /// Errors: io_error.
    static Result<Writer> create(const std::string& path, FileLayout layout);

    /// The next bytes of the tensors' data, which follow one another in the layout's order, whatever the pieces.
    /// Errors: io_error.
    Result<void> write(std::span<const std::byte> data);
    /// After all data were written: puts the file in place. Errors: io_error.
    Result<void> commit();

  private:
    Writer(base::AtomicFile file, FileLayout layout) : file_(std::move(file)), layout_(std::move(layout)) {}

    base::AtomicFile file_;
    FileLayout layout_;
    std::size_t tensor_ = 0;     // the one that is being written
    std::uint64_t written_ = 0;  // bytes of its data
};

}  // namespace puna::formats::ggml
