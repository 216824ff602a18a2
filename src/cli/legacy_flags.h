// The flags that say what files of the formats before GGUF leave out.
#pragma once

#include <cstdint>
#include <optional>

#include "cli/flags.h"
#include "formats/model_file.h"
#include "puna/model.h"

namespace puna::cli {

struct LegacyFlags {
    std::optional<double> norm_epsilon;
    std::optional<double> rope_base;
    std::optional<std::uint32_t> kv_heads;
    std::optional<std::uint32_t> context;

    void declare(Flags& flags);
    formats::MissingValues values() const { return {norm_epsilon, rope_base, kv_heads, context}; }
    LoadOptions load_options() const { return {norm_epsilon, rope_base, kv_heads, context, {}}; }
};

}  // namespace puna::cli
