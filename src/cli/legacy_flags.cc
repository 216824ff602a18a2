#include "cli/legacy_flags.h"

#include <limits>

namespace puna::cli {

void LegacyFlags::declare(Flags& flags) {
    flags.section("Models of the formats before GGUF, and Meta's, which do not say it");
    flags.real("--norm-epsilon", "X", {0, 1, true}, norm_epsilon,
               "What norms add to the mean square (default 1e-6; LLaMA 2 has 1e-5).");
    flags.real("--rope-base", "X", {0, std::numeric_limits<float>::max(), true}, rope_base,
               "The base of RoPE's frequencies (default 10000).");
    flags.integer("--kv-heads", "N", {1, 4096}, kv_heads, "Heads that keys and values have (default: by their sizes).");
    flags.integer("--model-context", "N", {1, std::numeric_limits<std::int32_t>::max()}, context,
                  "Tokens that the model was made for (default 2048; LLaMA 2 has 4096).");
}

}  // namespace puna::cli
