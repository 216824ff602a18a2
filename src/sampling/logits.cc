#include "sampling/logits.h"

namespace puna::sampling {

Result<void> check_logits(std::span<const float> logits) {
    int bad = 0;  // of the logits' width, so that the compiler can use vectors
    for (const float logit : logits)
        bad |= logit <= greatest_float ? 0 : 1;  // false for NaN and +infinity
    if (bad == 0) return {};
    return Error{
        ErrorCode::invalid_number, "the model gave a logit that is NaN or infinite",
        "the file may be damaged; if `--activations float32` runs well, the activations exceed the default's range"};
}

Error nothing_left() {
    return {ErrorCode::invalid_number, "no token is left to choose from: every logit is -infinity",
            "fewer tokens must be forbidden, by logit bias or a constraint"};
}

}  // namespace puna::sampling
