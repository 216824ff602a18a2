// puna quantize: a model's weights in fewer bits.
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/rewrite_model.h"

namespace puna::cli {
namespace {

class QuantizeCommand : public Command {
  public:
    void declare(Flags& flags) override {
        work_.declare_files(flags);
        flags.positional("TYPE", type_, fmt::format("One of {}; letter case does not matter.", mix_names()));
        work_.declare(flags);
        flags.example("puna quantize model-f16.gguf model-q4_k_m.gguf Q4_K_M", "the usual choice for 4 bits");
        flags.example("puna quantize model-f16.gguf model.gguf Q4_K_S --tensor-type 'blk.*.attn_v.weight=Q8_0'",
                      "with another type for some tensors");
        flags.example("puna quantize model-f16.gguf model.gguf Q3_K_M --imatrix imatrix.gguf",
                      "with an importance matrix, which matters most at 3 bits and less");
    }

    Result<int> execute(Output& output) override {
        if (!type_) {
            return Error{ErrorCode::invalid_argument, "IN, OUT and TYPE are needed",
                         fmt::format("types are {}", mix_names())};
        }
        return work_.run(type_, output);
    }

  private:
    RewriteModel work_;
    std::optional<std::string> type_;
};

}  // namespace

std::unique_ptr<Command> make_quantize_command() {
    return std::make_unique<QuantizeCommand>();
}

}  // namespace puna::cli
