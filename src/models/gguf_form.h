// A model of another dialect as a GGUF file would hold it: the same data under other names, nothing copied.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf/layout.h"
#include "formats/model_file.h"
#include "puna/error.h"

namespace puna::models {

/// Puts a ModelFile of dialect gguf together; what a family's file knows of its model goes in. For one thread at a
/// time.
class GgufForm {
  public:
    /// Starts with what all models have: the general keys and the vocabulary. Errors: unsupported_tokenizer.
    static Result<GgufForm> start(const formats::ModelFile& source, std::string architecture);

    /// A hyper-parameter, under the architecture's prefix.
    void set(std::string_view name, std::uint32_t value);
    void set(std::string_view name, float value);
    void set(std::string_view name, std::string value);

    /// A tensor of the source.
    void add(std::string name, const formats::FoundTensor& tensor);
    /// A projection to `heads` heads whose rotated pairs stand in halves, (i, i + half) of each head's first `rotated`
    /// rows; GGUF's stand side by side. The shape must have been checked; the tensor is one part.
    void add_interleaved(std::string name, const formats::FoundTensor& tensor, std::int64_t heads,
                         std::int64_t rotated);
    /// A tensor that the source does not hold, [values].
    void add(std::string name, const std::vector<float>& values);

    std::shared_ptr<const formats::ModelFile> finish() &&;

  private:
    GgufForm() = default;
    void set_general(const std::string& key, formats::MetadataValue value, formats::gguf::ValueType type);
    std::shared_ptr<formats::ModelFile> form_;
};

}  // namespace puna::models
