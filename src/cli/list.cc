// puna list: the models in the store.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/try.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/main_type.h"
#include "cli/units.h"
#include "formats/model_file.h"
#include "formats/printable.h"
#include "store/models.h"

namespace puna::cli {
namespace {

/// What a file says of itself, without reading its weights.
struct Contents {
    std::string architecture;
    std::string type;  // that most of its bytes have
    std::uint64_t parameters = 0;
};

Result<Contents> look_into(const std::string& path) {
    PUNA_TRY(const std::shared_ptr<const formats::ModelFile> file, formats::read_model_file(path));
    Contents contents{.architecture = file->architecture};
    contents.type = main_type(file->tensors);
    for (const formats::FoundTensor& tensor : file->tensors)
        contents.parameters += tensor.elements();
    return contents;
}

class ListCommand : public Command {
  public:
    void declare(Flags& flags) override {
        flags.section("Output");
        flags.flag("--json", json_, "Print one JSON object.");
        flags.example("puna list", "the models that -m and 'puna chat' know by name");
    }

    Result<int> execute(Output& output) override {
        const auto folder = store::models_folder();
        if (!folder) {
            return Error{ErrorCode::invalid_argument, "there is no folder of models",
                         "set PUNA_MODELS to one, or HOME"};
        }
        PUNA_TRY(const std::vector<store::StoredModel> models, store::list_models(*folder));
        if (models.empty()) note(fmt::format("there are no models in {}", *folder));
        std::size_t width = 0;
        for (const store::StoredModel& model : models)
            width = std::max(width, formats::printable(model.name).size());
        Json list = Json::array();
        for (const store::StoredModel& model : models) {
            const auto contents = look_into(model.path);
            if (json_) {
                list.push_back(object(model, contents));
            } else {
                PUNA_CHECK(output.write(line(model, contents, width)));
            }
        }
        if (json_) PUNA_CHECK(output.write_line(json_line({{"folder", *folder}, {"models", list}})));
        return exit_ok;
    }

  private:
    static std::string line(const store::StoredModel& model, const Result<Contents>& contents, std::size_t width) {
        const std::string words =
            contents.ok() ? fmt::format("{:<8}{:>8} parameters", contents->type, count_words(contents->parameters))
                          : fmt::format("not readable: {}", contents.error().message);
        return fmt::format("{:<{}}  {:>10}  {}\n", formats::printable(model.name), width, bytes_words(model.bytes),
                           words);
    }

    static Json object(const store::StoredModel& model, const Result<Contents>& contents) {
        Json json = {{"name", model.name}, {"path", model.path}, {"bytes", model.bytes}};
        if (contents.ok()) {
            json.update({{"architecture", contents->architecture},
                         {"type", contents->type},
                         {"parameters", contents->parameters}});
        } else {
            json["error"] = {{"code", error_code_name(contents.error().code)}, {"message", contents.error().message}};
        }
        return json;
    }

    bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_list_command() {
    return std::make_unique<ListCommand>();
}

}  // namespace puna::cli
