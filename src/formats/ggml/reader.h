// One file of a format before GGUF, checked, with the tensors' data where it lies.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/file_mapping.h"
#include "formats/ggml/layout.h"
#include "formats/model_file.h"
#include "puna/error.h"
#include "text/vocabulary.h"

namespace puna::formats::ggml {

/// What one file holds; a model may be spread over several (parts.h).
struct File {
    std::shared_ptr<const base::FileMapping> mapping;
    Container container;
    const Layout* layout = nullptr;  // whose structure the file has
    Metadata metadata;               // the header's fields
    text::Vocabulary vocabulary;
    std::vector<FoundTensor> tensors;  // in file order, one part each
};

/// Nothing but their structure tells the families' files apart: the one that the file follows is taken. A file that
/// follows none is read as LLaMA's, and the error says where it leaves that path.
/// Errors: file_malformed, unsupported_format (a version), unsupported_tensor_type (Q4_2, Q4_3), file_changed.
Result<File> read_file(const std::shared_ptr<const base::FileMapping>& mapping);

}  // namespace puna::formats::ggml
