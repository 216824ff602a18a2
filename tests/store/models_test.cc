#include "store/models.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>

#include "base/temporary_folder.h"

namespace puna::store {
namespace {

using base::TemporaryFolder;
using testing::HasSubstr;

/// An environment variable for as long as it lives; null: it is not set.
class Variable {
  public:
    Variable(const char* name, const char* value) : name_(name) {
        if (const char* before = std::getenv(name)) before_ = before;
        set(value);
    }
    ~Variable() { set(before_ ? before_->c_str() : nullptr); }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;

  private:
    void set(const char* value) { value == nullptr ? unsetenv(name_) : setenv(name_, value, 1); }
    const char* name_;
    std::optional<std::string> before_;
};

TEST(Models, TheFolderIsNamedByTheEnvironment) {
    const Variable home("HOME", "/h");
    {
        const Variable models("PUNA_MODELS", nullptr), puna("PUNA_HOME", nullptr), data("XDG_DATA_HOME", nullptr);
        EXPECT_EQ(models_folder(), "/h/.local/share/puna/models");
        const Variable xdg("XDG_DATA_HOME", "/x");
        EXPECT_EQ(models_folder(), "/x/puna/models");
        const Variable puna_home("PUNA_HOME", "/p");
        EXPECT_EQ(models_folder(), "/p/models");
        const Variable puna_models("PUNA_MODELS", "/m");
        EXPECT_EQ(models_folder(), "/m");
    }
}

TEST(Models, AreFilesShardsAndFolders) {
    const TemporaryFolder folder;
    folder.write("small.gguf", "12345");
    folder.write("large-00002-of-00002.gguf", "123");
    folder.write("large-00001-of-00002.gguf", "1234");
    folder.write("hf/config.json", "{}");
    folder.write("hf/model.safetensors", "12345678");
    folder.write("notes.txt", "no model");
    folder.write(".hidden.gguf", "no model");
    folder.write("other/readme", "no model");
    std::filesystem::create_symlink(folder.path("small.gguf"), folder.path("again.gguf"));
    const auto models = list_models(folder.path());
    ASSERT_TRUE(models.ok());
    ASSERT_EQ(models->size(), 4U);
    EXPECT_EQ((*models)[0].name, "again");
    EXPECT_EQ((*models)[0].bytes, 5U);
    EXPECT_EQ((*models)[1].name, "hf");
    EXPECT_EQ((*models)[1].bytes, 10U);
    EXPECT_EQ((*models)[2].name, "large");
    EXPECT_EQ((*models)[2].path, folder.path("large-00001-of-00002.gguf"));
    EXPECT_EQ((*models)[2].bytes, 7U);
    EXPECT_EQ((*models)[3].path, folder.path("small.gguf"));
    EXPECT_TRUE(list_models(folder.path("none"))->empty());
    const auto file = list_models(folder.path("notes.txt"));
    ASSERT_FALSE(file.ok());
    EXPECT_EQ(file.error().code, ErrorCode::file_unreadable);
}

TEST(Models, AreFoundByNameAndPath) {
    const TemporaryFolder folder;
    const std::string small = folder.write("store/small.gguf", "1");
    const std::string here = folder.write("here", "1");
    const Variable variable("PUNA_MODELS", folder.path("store").c_str());
    EXPECT_EQ(*find_model("small"), small);
    EXPECT_EQ(*find_model("small.gguf"), small);
    EXPECT_EQ(*find_model(here), here);
    EXPECT_EQ(*find_model("./none"), "./none");
    const auto unknown = find_model("smal");
    ASSERT_FALSE(unknown.ok());
    EXPECT_EQ(unknown.error().code, ErrorCode::file_not_found);
    EXPECT_THAT(unknown.error().message, HasSubstr("\"smal\""));
    EXPECT_THAT(unknown.error().hint, HasSubstr("small"));
}

}  // namespace
}  // namespace puna::store
