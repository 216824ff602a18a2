// puna merge: a model in several GGUF files as one.
#include "cli/commands.h"
#include "cli/rewrite_model.h"

namespace puna::cli {
namespace {

class MergeCommand : public Command {
  public:
    void declare(Flags& flags) override {
        work_.declare_merge(flags);
        flags.example("puna merge model-00001-of-00004.gguf model.gguf", "a model in four files as one");
    }

    Result<int> execute(Output& output) override { return work_.run({}, output); }

  private:
    RewriteModel work_;
};

}  // namespace

std::unique_ptr<Command> make_merge_command() {
    return std::make_unique<MergeCommand>();
}

}  // namespace puna::cli
