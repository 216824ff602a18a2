// What a measurement found, for people and for programs.
#pragma once

#include <string>
#include <string_view>

#include "cli/console.h"
#include "convert/perplexity.h"

namespace puna::cli {

/// Lines. `reference`: what the model was compared with, if it was.
std::string perplexity_text(const convert::PerplexityResult& result, std::string_view reference);
Json perplexity_json(const convert::PerplexityResult& result);

}  // namespace puna::cli
