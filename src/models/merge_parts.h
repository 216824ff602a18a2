// Puts a model together whose tensors lie in pieces in several files.
#pragma once

#include <cstdint>
#include <memory>

#include "formats/model_file.h"
#include "puna/error.h"

namespace puna::models {

/// Which axis the pieces of a matrix follow one another on. Vectors are not cut: each file has a copy.
enum class Cut { rows, columns };

/// What becomes of matrices that are cut by columns.
enum class SplitRows {
    assembled,  // copied into memory, whole: to compute with
    in_pieces,  // a part for each piece of a row, where it lies: to read from end to end
};

struct MergedFile {
    std::shared_ptr<const formats::ModelFile> file;
    std::uint64_t assembled_bytes = 0;  // of memory
};

/// `cut_of`: of an unmerged matrix of the file. Matrices that are cut by rows stay where they lie, a part for each
/// piece. A file without unmerged tensors is given back as it is. Errors: file_malformed (copies of a vector that
/// differ, a tensor that is neither vector nor matrix), out_of_memory, file_changed.
Result<MergedFile> merge_parts(std::shared_ptr<const formats::ModelFile> file,
                               Cut (*cut_of)(const formats::ModelFile& file, const formats::FoundTensor& tensor),
                               SplitRows split_rows);

}  // namespace puna::models
