// Importance matrices: of each weight matrix, how large the activations are that its columns meet.
//
// The file is GGUF, in the layout of llama-imatrix (docs/formats/imatrix.md has the keys and tensors); its format
// before that is read too (imatrix_dat.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "formats/model_file.h"
#include "puna/error.h"

namespace puna::formats {

/// Of one tensor, which may hold several matrices (experts).
struct ImatrixEntry {
    std::vector<double> squares;  // [matrices][columns]: sums of squared activations
    std::vector<double> rows;     // [matrices], or one for all of them: how many activations were added up

    std::size_t matrices() const { return rows.size(); }
    std::size_t columns() const { return rows.empty() ? 0 : squares.size() / rows.size(); }
    /// What the squared error of a weight in each of the tensor's columns (`width`, which divides the squares) counts,
    /// [matrices][width]: the mean square of the activations, of mean 1 over a matrix, and at least a thousandth. All 1
    /// where nothing is known.
    std::vector<float> importance(std::size_t width) const;
};

/// How much of a text went into a matrix, so that work can go on where it ended.
struct ImatrixText {
    std::string sha256;  // of its token ids
    std::string name;    // for people
    std::uint64_t chunks = 0;
};

struct Imatrix {
    std::map<std::string, ImatrixEntry> entries;  // by name of the tensor
    std::vector<std::string> datasets;            // names of texts, for people
    std::vector<ImatrixText> texts;               // of those that puna evaluated
    std::uint64_t chunk_tokens = 0;
    bool counts_chunks = false;  // rows are chunks of a length that is not known, not activations
    std::uint64_t chunks = 0;
};

/// In either format, recognised by its content. Errors: those of read_model_file; file_malformed (message: field and
/// offset), unsupported_format (a file that holds something else).
Result<Imatrix> read_imatrix(const std::string& path);

/// Whole or not at all. Sums are rounded to F32, as the format has them. Errors: io_error, invalid_argument (a name
/// that GGUF cannot hold).
Result<void> write_imatrix(const Imatrix& matrix, const std::string& path);

/// Adds `other` to `sum`. Errors: invalid_argument (a tensor of another size).
Result<void> add_imatrix(Imatrix& sum, const Imatrix& other);

/// Whether the entry fits the tensor. Errors: invalid_argument.
Result<void> check_entry(const ImatrixEntry& entry, const FoundTensor& tensor);

}  // namespace puna::formats
