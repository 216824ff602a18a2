// Models by name: puna list, -m NAME, and puna chat without one.
#include <gmock/gmock.h>

#include <filesystem>

#include "cli/fixture.h"

namespace puna::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class Store : public CommandLine {
  protected:
    support::ProcessOptions options() const { return {.environment = {"PUNA_MODELS=" + folder_.path("store")}}; }
    void add(const std::string& name, const std::string& model) {
        std::filesystem::create_directories(folder_.path("store"));
        std::filesystem::create_symlink(model, folder_.path("store/" + name + ".gguf"));
    }
};

TEST_F(Store, CommandsOnFilesTakeNamesToo) {
    add("tiny", tiny());
    EXPECT_EQ(json_of({"verify", "tiny"}, options())["ok"], true);
    EXPECT_EQ(json_of({"diff", "tiny", tiny()}, options())["same"], true);
    EXPECT_EQ(json_of({"diff", tiny(), "tiny"}, options())["same"], true);
    const std::string out = folder_.path("out.gguf");
    json_of({"convert", "tiny", out}, options());
    json_of({"quantize", "tiny", out, "F16", "--force"}, options());
    json_of({"split", "tiny", folder_.path("part"), "--max-tensors", "8"}, options());
    for (const std::vector<std::string>& command : {std::vector<std::string>{"verify", "tony"},
                                                    {"diff", "tony", "tiny"},
                                                    {"convert", "tony", out, "--force"},
                                                    {"split", "tony", "--max-tensors", "8"}}) {
        const Json error = error_of(command, 3, options());
        EXPECT_EQ(error["code"], "file_not_found") << command[0];
        EXPECT_THAT(error["hint"].get<std::string>(), HasSubstr("tiny")) << command[0];
    }
}

TEST_F(Store, ListShowsWhatIsThere) {
    EXPECT_EQ(json_of({"list"}, options())["models"], Json::array());
    add("tiny", tiny());
    add("demo", demo());
    add("broken", folder_.write("junk", "no model"));
    const Json json = json_of({"list"}, options());
    EXPECT_EQ(json["folder"], folder_.path("store"));
    ASSERT_EQ(json["models"].size(), 3U);
    EXPECT_EQ(json["models"][0]["name"], "broken");
    EXPECT_EQ(json["models"][0]["error"]["code"], "unsupported_format");
    const Json& demo_model = json["models"][1];
    EXPECT_EQ(demo_model["name"], "demo");
    EXPECT_EQ(demo_model["type"], "Q4_1");
    EXPECT_EQ(demo_model["parameters"], 134515008);
    EXPECT_EQ(demo_model["bytes"], std::filesystem::file_size(demo()));
    const Outcome plain = run_puna({"list"}, options());
    EXPECT_EQ(plain.exit_code, 0);
    EXPECT_THAT(plain.out, AllOf(HasSubstr("demo  "), HasSubstr("93.8 MiB"), HasSubstr("134.5 M parameters")));
    EXPECT_THAT(plain.out, HasSubstr("not readable"));
}

TEST_F(Store, ANameIsAModel) {
    add("tiny", tiny());
    const std::vector<std::string> rest = {"-p", "ab", "-n", "4", "--temp", "0"};
    const auto with = [&](const std::string& model) {
        std::vector<std::string> arguments = {"run", "-m", model};
        arguments.insert(arguments.end(), rest.begin(), rest.end());
        return arguments;
    };
    EXPECT_EQ(json_of(with("tiny"), options())["ids"], json_of(with(tiny()), options())["ids"]);
    EXPECT_EQ(json_of({"show", "tiny"}, options())["architecture"], "llama");
    const Json error = error_of(with("tini"), 3, options());
    EXPECT_EQ(error["code"], "file_not_found");
    EXPECT_THAT(error["hint"].get<std::string>(), HasSubstr("tiny"));
    EXPECT_EQ(error_of(with("./tiny"), 3, options())["code"], "file_not_found");
}

TEST_F(Store, ChatTakesTheOnlyModel) {
    EXPECT_THAT(error_of({"chat", "-p", "x"}, 2, options())["hint"].get<std::string>(), HasSubstr("no models"));
    add("demo", demo());
    const Json only = json_of({"chat", "-p", "Say yes.", "-n", "2", "--temp", "0"}, options());
    EXPECT_EQ(only["finish_reason"], "length");
    add("other", tiny());
    const Json error = error_of({"chat", "-p", "x"}, 2, options());
    EXPECT_EQ(error["code"], "invalid_argument");
    EXPECT_THAT(error["hint"].get<std::string>(), HasSubstr("demo, other"));
}

}  // namespace
}  // namespace puna::cli
