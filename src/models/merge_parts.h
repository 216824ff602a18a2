// Puts a model together whose tensors lie in pieces in several files, or not in the order of their elements.
#pragma once

#include <cstdint>
#include <memory>

#include "formats/model_file.h"
#include "puna/error.h"

namespace puna::models {

/// Which axis the pieces of a matrix follow one another on. Vectors are not cut: each file has a copy.
enum class Cut { rows, columns };

/// What becomes of matrices that are cut by columns, and of tensors that do not lie in order.
enum class SplitRows {
    assembled,  // copied into memory, whole: to compute with
    in_pieces,  // left where they lie: FoundTensor::parts_in_order has them, to read one after the other
};

struct MergedFile {
    std::shared_ptr<const formats::ModelFile> file;
    std::uint64_t assembled_bytes = 0;  // of memory
};

/// `cut_of`: of an unmerged matrix of the file. Matrices that are cut by rows stay where they lie, a part for each
/// piece. A file that needs nothing of this is given back as it is. Errors: file_malformed (copies of a vector that
/// differ, a tensor that is neither vector nor matrix), out_of_memory, file_changed.
Result<MergedFile> merge_parts(std::shared_ptr<const formats::ModelFile> file,
                               Cut (*cut_of)(const formats::ModelFile& file, const formats::FoundTensor& tensor),
                               SplitRows split_rows);

}  // namespace puna::models
