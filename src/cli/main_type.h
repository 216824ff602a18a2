// Which type of numbers a model's weights mostly are.
#pragma once

#include <span>
#include <string_view>

#include "formats/model_file.h"

namespace puna::cli {

/// The name of the type that most bytes of the tensors have; empty without tensors.
std::string_view main_type(std::span<const formats::FoundTensor> tensors);

}  // namespace puna::cli
