// Looks at every byte of a model: digests of its files, and weights that are no numbers.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "formats/model_file.h"
#include "puna/error.h"

namespace puna::convert {

struct VerifiedFile {
    std::string path;
    std::uint64_t bytes;
    std::uint64_t tensors;         // that lie in it
    std::uint64_t tensor_bytes;    // of their data
    std::uint64_t trailing_bytes;  // after the last tensor's data and its padding: nobody reads them
    std::string sha256;            // of the whole file, hexadecimal
};

struct NonFinite {
    const formats::FoundTensor* tensor;
    std::uint64_t nans;
    std::uint64_t infinities;
    std::uint64_t first;  // the first such element, counted from 0
};

struct Verification {
    std::vector<VerifiedFile> files;
    std::vector<NonFinite> non_finite;                     // in file order
    std::vector<const formats::FoundTensor*> not_scanned;  // of types that this build does not decode
    std::uint64_t elements_scanned = 0;                    // integers, which are always finite, included

    bool finite() const { return non_finite.empty(); }
};

/// Called now and then with the bytes that are done, and all of them; false ends the work.
using VerifyProgress = std::function<bool(std::uint64_t done, std::uint64_t all)>;

/// Reads every file of `model` once. The structure was checked when it was read. Errors: cancelled, file_changed,
/// out_of_memory, io_error (no SHA-256 on this system).
Result<Verification> verify_model(const formats::ModelFile& model, base::ThreadPool& pool,
                                  const VerifyProgress& progress);

}  // namespace puna::convert
