// Names of one thing in the dialects that a family's files come in.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "formats/model_file.h"

namespace puna::models {

/// Of a hyper-parameter or a tensor; in a layer's tensor, `{}` stands for the layer's number. Empty where a dialect
/// does not have it.
struct Names {
    std::string_view gguf;
    std::string_view huggingface = {};
    std::string_view ggml = {};
    std::string_view meta = {};

    std::string_view in(formats::Dialect dialect) const {
        switch (dialect) {
            case formats::Dialect::gguf: return gguf;
            case formats::Dialect::huggingface: return huggingface;
            case formats::Dialect::ggml: return ggml;
            case formats::Dialect::meta: return meta;
        }
        return {};
    }
    std::string in(formats::Dialect dialect, std::int64_t layer) const {
        return fmt::format(fmt::runtime(in(dialect)), layer);
    }
};

}  // namespace puna::models
