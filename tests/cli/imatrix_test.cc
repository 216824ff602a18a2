// puna imatrix, and puna quantize --imatrix.
#include <gmock/gmock.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "cli/fixture.h"
#include "support/test_data.h"

namespace puna::cli {
namespace {

using support::Process;
using testing::HasSubstr;

class ImatrixCommandLine : public CommandLine {
  protected:
    std::string out() const { return folder_.path("imatrix.gguf"); }
    std::string plain() { return folder_.write("plain.gguf", support::tiny_model()); }
    std::string text(const char* name, char c) { return folder_.write(name, std::string(100, c)); }
    static std::string bytes(const std::string& path) {
        std::ifstream file(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }
};

TEST_F(ImatrixCommandLine, MakesOneAndQuantizesByIt) {
    const Json json = json_of({"imatrix", plain(), "-f", text("a.txt", 'Q'), "-o", out(), "-c", "24"});
    EXPECT_EQ(json["entries"], 14);
    EXPECT_EQ(json["chunks"], 4);
    EXPECT_EQ(json["evaluated_chunks"], 4);
    EXPECT_EQ(json["datasets"], Json({folder_.path("a.txt")}));
    const Json quantized = json_of({"quantize", plain(), folder_.path("by.gguf"), "Q4_0", "--imatrix", out()});
    EXPECT_EQ(quantized["by_importance"], 14);
    json_of({"quantize", plain(), folder_.path("even.gguf"), "Q4_0"});
    EXPECT_EQ(run_puna({"diff", folder_.path("by.gguf"), folder_.path("even.gguf")}).exit_code, 1);
    json_of({"quantize", plain(), folder_.path("one.gguf"), "Q4_0", "--imatrix", out(), "-t", "1"});
    EXPECT_TRUE(bytes(folder_.path("by.gguf")) == bytes(folder_.path("one.gguf")));
    EXPECT_EQ(json_of({"run", "-m", folder_.path("by.gguf"), "-p", "the", "-n", "2"})["ids"].size(), 2U);
}

TEST_F(ImatrixCommandLine, TextsAddUpAndWorkGoesOn) {
    const std::string a = text("a.txt", 'Q');
    const std::string b = text("b.txt", 'z');
    const Json both = json_of({"imatrix", plain(), "-f", a, "-f", b, "-o", folder_.path("both.gguf"), "-c", "24"});
    EXPECT_EQ(both["chunks"], 8);

    json_of({"imatrix", plain(), "-f", a, "-o", out(), "-c", "24", "--chunks", "1"});
    EXPECT_EQ(error_of({"imatrix", plain(), "-f", a, "-o", out(), "-c", "24"}, 2)["code"], "invalid_argument");
    const Json more = json_of({"imatrix", plain(), "-f", a, "-f", b, "-o", out(), "-c", "24", "--resume"});
    EXPECT_EQ(more["evaluated_chunks"], 7);
    EXPECT_EQ(more["chunks"], 8);
    EXPECT_EQ(json_of({"imatrix", plain(), "-f", a, "-o", out(), "-c", "24", "--resume"})["evaluated_chunks"], 0);
    const Json diff = single_line(run_puna({"diff", folder_.path("both.gguf"), out(), "--json"}).out);
    for (const Json& tensor : diff["tensors"])
        EXPECT_LT(tensor["distance"]["relative_rms"], 1e-6) << tensor;

    const std::string other = folder_.path("b.gguf");
    json_of({"imatrix", plain(), "-f", b, "-o", other, "-c", "24"});
    json_of({"imatrix", plain(), "-f", a, "--in-file", other, "-o", folder_.path("sum.gguf"), "-c", "24"});
    const Json sum = single_line(run_puna({"diff", folder_.path("both.gguf"), folder_.path("sum.gguf"), "--json"}).out);
    for (const Json& tensor : sum["tensors"])
        EXPECT_LT(tensor["distance"]["relative_rms"], 1e-6) << tensor;
}

TEST_F(ImatrixCommandLine, AnInterruptKeepsWhatIsDone) {
    const std::string words = "/usr/share/common-licenses/GPL-3";  // every Debian has it
    Process process(puna_command({"imatrix", demo(), "-f", words, "-o", out(), "-c", "32", "--batch-size", "32", "-t",
                                  "1", "--save-every", "1", "--json"}));
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (!std::filesystem::exists(out()) && std::chrono::steady_clock::now() < deadline)
        std::this_thread::yield();
    process.interrupt();
    EXPECT_EQ(process.finish(), 130);
    EXPECT_EQ(last_error(process.err())["code"], "cancelled");
    const Json json = json_of({"imatrix", demo(), "-f", words, "-o", out(), "-c", "32", "--chunks", "1", "--resume"});
    EXPECT_EQ(json["evaluated_chunks"], 0);
    EXPECT_GE(json["chunks"], 1);
}

/// llama-imatrix's older files serve to quantize, and are not added to others.
TEST_F(ImatrixCommandLine, QuantizesByAMatrixInTheFormatBeforeGguf) {
    const std::string matrix = std::string(PUNA_TEST_DATA) + "/formats/data/imatrix/llama_imatrix";
    const std::string model = support::model_data + "tiny_llama1.gguf";
    const Json old = json_of({"quantize", model, folder_.path("dat.gguf"), "Q4_0", "--imatrix", matrix + ".dat"});
    const Json now = json_of({"quantize", model, folder_.path("gguf.gguf"), "Q4_0", "--imatrix", matrix + ".gguf"});
    EXPECT_GT(old["by_importance"], 0);
    EXPECT_EQ(old["by_importance"], now["by_importance"]);
    // The older file divides and multiplies its sums, which rounds them.
    const Outcome diff = run_puna({"diff", folder_.path("dat.gguf"), folder_.path("gguf.gguf"), "--json"});
    for (const Json& tensor : single_line(diff.out)["tensors"])
        EXPECT_LT(tensor["distance"]["relative_rms"], 1e-3) << tensor;
    const Json error = error_of({"imatrix", model, "--in-file", matrix + ".dat", "-o", out()}, 2);
    EXPECT_EQ(error["code"], "invalid_argument");
    EXPECT_FALSE(std::filesystem::exists(out()));
}

TEST_F(ImatrixCommandLine, RefusesWhatCannotBe) {
    const std::string a = text("a.txt", 'Q');
    EXPECT_EQ(error_of({"imatrix", plain(), "-f", a}, 2)["code"], "invalid_argument");
    EXPECT_EQ(error_of({"imatrix", plain(), "-o", out()}, 2)["code"], "invalid_argument");
    EXPECT_EQ(error_of({"imatrix", plain(), "-f", a, "-o", out(), "--resume", "--force"}, 2)["code"],
              "invalid_argument");
    EXPECT_EQ(error_of({"imatrix", plain(), "-f", a, "-f", a, "-c", "24", "-o", out()}, 2)["code"], "invalid_argument");
    EXPECT_EQ(error_of({"imatrix", plain(), "-f", a, "-o", out()}, 1)["code"], "text_too_short");
    EXPECT_EQ(error_of({"imatrix", plain(), "-f", folder_.path("none"), "-o", out()}, 3)["code"], "file_not_found");
    // Where the file cannot be written, that is told before the model is read.
    const std::string none = folder_.path("none");
    EXPECT_EQ(error_of({"imatrix", none, "-f", a, "-o", none + "/i.gguf"}, 1)["code"], "io_error");
    EXPECT_EQ(error_of({"imatrix", none, "-f", a, "-o", none + "/i.gguf", "--resume"}, 1)["code"], "io_error");
    EXPECT_THAT(error_of({"imatrix", none, "-f", a, "-o", folder_.path(""), "--force"}, 2)["message"],
                HasSubstr("is a folder"));
    EXPECT_THAT(error_of({"imatrix", none, "-f", a, "-o", "-"}, 2)["message"], HasSubstr("standard output"));
    EXPECT_FALSE(std::filesystem::exists(out()));

    json_of({"imatrix", plain(), "-f", a, "-o", out(), "-c", "24"});
    EXPECT_THAT(error_of({"run", "-m", out(), "-p", "x"}, 3)["message"], HasSubstr("its type is 'imatrix'"));
    EXPECT_THAT(error_of({"imatrix", plain(), "-f", a, "-o", out(), "-c", "20", "--resume"}, 2)["hint"],
                HasSubstr("-c 24"));
    EXPECT_EQ(
        error_of({"imatrix", demo(), "-f", a, "-o", folder_.path("x"), "-c", "20", "--in-file", out()}, 2)["code"],
        "invalid_argument");
    EXPECT_EQ(error_of({"quantize", plain(), folder_.path("q.gguf"), "Q4_0", "--imatrix", plain()}, 3)["code"],
              "unsupported_format");
    EXPECT_EQ(error_of({"quantize", plain(), folder_.path("q.gguf"), "Q4_0", "--imatrix", a}, 3)["code"],
              "unsupported_format");
    EXPECT_EQ(error_of({"convert", plain(), folder_.path("q.gguf"), "--imatrix", out()}, 2)["code"],
              "invalid_argument");
    EXPECT_FALSE(std::filesystem::exists(folder_.path("q.gguf")));
}

}  // namespace
}  // namespace puna::cli
