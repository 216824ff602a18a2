// Where the data of tests lie.
#pragma once

#include <string>

namespace puna::support {

/// Small models, and what other programs computed with them.
inline const std::string model_data = PUNA_TEST_DATA "/models/data/";

}  // namespace puna::support
