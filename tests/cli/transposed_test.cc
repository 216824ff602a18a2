// Models whose matrices lie transposed in their file, as training code that fuses or ties weights may leave them.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include "cli/same_model.h"
#include "formats/pytorch_image.h"
#include "support/test_data.h"

namespace puna::cli {
namespace {

using namespace formats::pickled;
using testing::HasSubstr;

struct Sizes {
    std::int64_t width;
    std::int64_t feed_forward;
    int layers;
};

class Transposed : public SameModel {
  protected:
    /// A Hugging Face folder with F32 weights, which are the same whether they lie transposed or not.
    std::string write_model(const std::string& name, const Sizes& sizes, bool transposed) {
        const std::string source = support::model_data + "pytorch/stream/";
        std::filesystem::create_directory(folder_.path(name));
        for (const char* file : {"tokenizer.model", "tokenizer_config.json"})
            std::filesystem::copy_file(source + file, folder_.path(name + "/" + file));
        Json config = Json::parse(content(source + "config.json"));
        config["hidden_size"] = sizes.width;
        config["intermediate_size"] = sizes.feed_forward;
        config["num_hidden_layers"] = sizes.layers;
        config["torch_dtype"] = "float32";
        folder_.write(name + "/config.json", std::string_view(config.dump()));

        std::vector<std::string> items;
        std::string keys;
        std::vector<std::pair<std::int64_t, std::int64_t>> shapes;
        const auto add = [&](const std::string& tensor_name, std::int64_t rows, std::int64_t columns) {
            const std::string key = std::to_string(shapes.size());
            const std::string bytes = storage("FloatStorage", key, rows * columns);
            const bool turned = transposed && rows > 1;
            items.push_back(string(tensor_name));
            items.push_back(tensor(bytes, 0, {rows, columns}, {turned ? 1 : columns, turned ? rows : 1}));
            if (rows == 1) items.back() = tensor(bytes, 0, {columns}, {1});
            keys += string(key);
            shapes.emplace_back(rows, columns);
        };
        add("model.embed_tokens.weight", 288, sizes.width);
        for (int i = 0; i < sizes.layers; ++i) {
            const std::string layer = "model.layers." + std::to_string(i) + ".";
            for (const char* matrix : {"q_proj", "k_proj", "v_proj", "o_proj"})
                add(layer + "self_attn." + matrix + ".weight", sizes.width, sizes.width);
            add(layer + "mlp.gate_proj.weight", sizes.feed_forward, sizes.width);
            add(layer + "mlp.up_proj.weight", sizes.feed_forward, sizes.width);
            add(layer + "mlp.down_proj.weight", sizes.width, sizes.feed_forward);
            add(layer + "input_layernorm.weight", 1, sizes.width);
            add(layer + "post_attention_layernorm.weight", 1, sizes.width);
        }
        add("model.norm.weight", 1, sizes.width);
        add("lm_head.weight", 288, sizes.width);
        // The format before 1.6, storage by storage: a process that was once large makes its children look so too.
        const formats::StreamImage image;
        std::ofstream out(folder_.path(name + "/pytorch_model.bin"), std::ios::binary);
        out << image.magic << image.version << image.system << pickle(dict(items)) << pickle("](" + keys + "e");
        for (const auto& [rows, columns] : shapes)
            write_storage(out, rows, columns, transposed);
        EXPECT_TRUE(out.flush().good());
        return folder_.path(name);
    }

  private:
    static void write_storage(std::ostream& out, std::int64_t rows, std::int64_t columns, bool transposed) {
        std::vector<float> values(static_cast<std::size_t>(rows * columns));
        for (std::int64_t row = 0; row < rows; ++row) {
            for (std::int64_t column = 0; column < columns; ++column) {
                const auto mixed = static_cast<std::uint32_t>(row * columns + column + 1) * 2'654'435'761U;
                const std::int64_t at = transposed ? column * rows + row : row * columns + column;
                values[static_cast<std::size_t>(at)] = static_cast<float>(mixed >> 16) / 65'536.0F - 0.5F;
            }
        }
        out << formats::raw(static_cast<std::uint64_t>(values.size()));
        out.write(reinterpret_cast<const char*>(values.data()),
                  static_cast<std::streamsize>(values.size() * sizeof(float)));
    }
};

TEST_F(Transposed, IsTheSameModelToEveryCommand) {
    const Sizes sizes = {.width = 64, .feed_forward = 96, .layers = 2};
    const std::string plain = write_model("plain", sizes, false);
    const std::string transposed = write_model("transposed", sizes, true);
    EXPECT_EQ(differing_tensors(plain, transposed), Json::array());
    EXPECT_EQ(ids_of(transposed), ids_of(plain));
    EXPECT_EQ(json_of({"verify", transposed})["ok"], true);
    std::vector<std::string> files;
    for (const std::string& model : {plain, transposed}) {
        files.push_back(folder_.path("out" + std::to_string(files.size()) + ".gguf"));
        const Outcome converted = run_puna({"convert", model, files.back(), "--type", "Q8_0"});
        EXPECT_EQ(converted.exit_code, 0);
        EXPECT_THAT(converted.err, testing::Not(HasSubstr("put together in memory")));
    }
    EXPECT_EQ(differing_tensors(files[0], files[1]), Json::array());

    const std::uint64_t matrices = sizeof(float) * (2 * 288 * 64 + 2 * (4 * 64 * 64 + 3 * 64 * 96));
    EXPECT_EQ(json_of({"show", transposed})["memory"]["assembled"], matrices);
    EXPECT_EQ(json_of({"show", plain})["memory"]["assembled"], 0);
    EXPECT_THAT(run_puna({"run", "-m", transposed, "-p", "x", "-n", "1"}).err,
                HasSubstr(std::to_string(matrices) + " bytes of weights do not lie in the order of their elements"));
}

/// Of the tensors' copies, one is in memory at a time, or one of each model that is compared.
TEST_F(Transposed, IsStreamedTensorByTensor) {
    const std::string model = write_model("large", {.width = 1024, .feed_forward = 2816, .layers = 4}, true);
    const std::uint64_t file = std::filesystem::file_size(model + "/pytorch_model.bin");
    ASSERT_GT(file, std::uint64_t{190} << 20);
    const std::string out = folder_.path("out.gguf");
    const std::vector<std::vector<std::string>> commands = {
        {"convert", model, out, "-t", "2"},
        {"convert", model, folder_.path("q8_0.gguf"), "--type", "Q8_0", "-t", "2"},
        {"verify", model},
        {"diff", model, out, "-t", "2"},
    };
    for (const auto& command : commands) {
        support::Process process(puna_command(command));
        const int code = process.finish();
        EXPECT_LE(code, 1) << process.err();  // of diff: the metadata differ
        EXPECT_LT(process.peak_memory(), file / 2) << command.front() << ' ' << process.err();
        RecordProperty(command.front(), std::to_string(process.peak_memory() >> 20));
    }
    EXPECT_EQ(differing_tensors(model, out), Json::array());
}

}  // namespace
}  // namespace puna::cli
