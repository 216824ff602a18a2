// Models on file for the tests of this folder.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "base/thread_pool.h"
#include "formats/model_file.h"
#include "support/gguf_builder.h"
#include "support/must.h"
#include "support/temp_file.h"

namespace puna::convert {

using support::must;

/// Writes the model and reads it.
inline std::shared_ptr<const formats::ModelFile> on_file(const support::TempFolder& folder, std::string_view name,
                                                         const support::GgufBuilder& builder) {
    return must(formats::read_model_file(folder.write(name, builder.build().bytes)));
}

}  // namespace puna::convert
