// The model that the tests of this folder share.
#pragma once

#include "puna/model.h"
#include "support/must.h"

namespace puna {

/// The demo model, opened once.
inline const Model& demo() {
    static const Model model = support::must(Model::load(PUNA_DEMO_MODEL));
    return model;
}

}  // namespace puna
