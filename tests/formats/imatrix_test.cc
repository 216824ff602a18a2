// Files of importance matrices, in GGUF and in the format before it: what they hold, and files that are none.
#include "formats/imatrix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "formats/imatrix_dat.h"
#include "formats/largest_allocation.h"
#include "formats/pytorch_image.h"
#include "formats/reading.h"
#include "support/tiny_model.h"

namespace puna::formats {
namespace {

using support::GgufBuilder;
using testing::ContainsRegex;
using testing::HasSubstr;

TEST(ImatrixEntry, ImportanceIsTheMeanSquareAndAtLeastAThousandth) {
    const ImatrixEntry entry = {{3, 1, 0, 0, 0, 0, 5, 5}, {2, 0}};  // the second of two matrices was never used
    EXPECT_EQ(entry.importance(4), (std::vector<float>{3, 1, 1e-3F, 1e-3F, 1, 1, 1, 1}));
    EXPECT_EQ((ImatrixEntry{{0, 0}, {1}}.importance(2)), (std::vector<float>{1, 1}));
}

/// Reads it at once, and without much memory.
Result<Imatrix> read_soon(const std::string& path) {
    largest_allocation = 0;
    const auto start = std::chrono::steady_clock::now();
    auto result = read_imatrix(path);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
    EXPECT_LT(largest_allocation, std::size_t{1} << 20);
    return result;
}

class ImatrixFile : public testing::Test {
  protected:
    static GgufBuilder good() {
        GgufBuilder builder;
        builder.string("general.type", "imatrix").u32("imatrix.chunk_count", 2).u32("imatrix.chunk_size", 512);
        builder.strings("imatrix.datasets", {"wiki"});
        builder.f32_tensor("a.weight.in_sum2", {4, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
        builder.f32_tensor("a.weight.counts", {1, 2}, {10, 20});
        builder.f32_tensor("a.weight.in_sum", {4, 2}, {-1, 2, 3, 4, 5, 6, 7, 8});  // newer files have more
        return builder;
    }
    Result<Imatrix> read(const GgufBuilder& builder) {
        return read_soon(folder_.write("imatrix.gguf", builder.build().bytes));
    }
    support::TempFolder folder_;
};

TEST_F(ImatrixFile, ReadsWhatLlamaImatrixWrites) {
    const Imatrix matrix = must(read(good()));
    ASSERT_EQ(matrix.entries.size(), 1U);
    const ImatrixEntry& entry = matrix.entries.at("a.weight");
    EXPECT_EQ(entry.matrices(), 2U);
    EXPECT_EQ(entry.columns(), 4U);
    EXPECT_EQ(entry.squares[5], 6);
    EXPECT_EQ(entry.rows, (std::vector<double>{10, 20}));
    EXPECT_EQ(matrix.datasets, std::vector<std::string>{"wiki"});
    EXPECT_TRUE(matrix.texts.empty());
}

TEST_F(ImatrixFile, RefusesWhatIsNone) {
    const auto code = [&](const GgufBuilder& builder) {
        const auto result = read(builder);
        return result.ok() ? "read" : std::string(error_code_name(result.error().code));
    };
    auto builder = good();
    EXPECT_EQ(code(builder.string("general.type", "model")), "unsupported_format");
    EXPECT_EQ(code(support::tiny_model_builder()), "unsupported_format");
    builder = good();
    EXPECT_EQ(code(builder.u32("general.type", 3)), "file_malformed");
    builder = good();
    EXPECT_EQ(code(builder.remove_tensor("a.weight.counts")), "file_malformed");
    builder = good();
    builder.remove_tensor("a.weight.counts").f32_tensor("a.weight.counts", {3}, {1, 2, 3});
    EXPECT_EQ(code(builder), "file_malformed");
    for (const float bad : {-1.0F, std::nanf(""), std::numeric_limits<float>::infinity()}) {
        builder = good();
        builder.remove_tensor("a.weight.in_sum2").f32_tensor("a.weight.in_sum2", {2, 2}, {1, bad, 1, 1});
        EXPECT_EQ(code(builder), "file_malformed");
        EXPECT_THAT(read(builder).error().message, HasSubstr("element 1 is"));
    }
    builder = good();
    builder.remove_tensor("a.weight.in_sum2").tensor("a.weight.in_sum2", {4, 2}, 1, std::vector<std::byte>(16));
    EXPECT_EQ(code(builder), "file_malformed");
    builder = good();
    EXPECT_EQ(code(builder.string("imatrix.datasets", "wiki")), "file_malformed");
    builder = good();
    EXPECT_EQ(code(builder.i32("imatrix.chunk_count", -1)), "file_malformed");
    builder = good();
    EXPECT_EQ(code(builder.strings("puna.imatrix.text_sha256", {"x"})), "file_malformed");
}

// ---- The format before GGUF ----

std::string dat_text(std::string_view text) {
    return raw(static_cast<std::int32_t>(text.size())).append(text);
}

std::string dat_entry(std::string_view name, std::int32_t chunks, const std::vector<float>& values) {
    std::string bytes = dat_text(name) + raw(chunks) + raw(static_cast<std::int32_t>(values.size()));
    for (const float value : values)
        bytes += raw(value);
    return bytes;
}

/// Two entries, the number of chunks, and the name of the text.
std::string dat_image() {
    return raw(std::int32_t{2}) + dat_entry("a.weight", 3, {3, 6, 9, 0}) + dat_entry("b", 1, {0.5F}) +
           raw(std::int32_t{3}) + dat_text("wiki");
}
constexpr std::size_t first_values = 4 + 4 + 8 + 4 + 4;
constexpr std::size_t second_entry = first_values + 4 * sizeof(float);
constexpr std::size_t behind_entries = second_entry + 4 + 1 + 4 + 4 + 4;

class ImatrixDat : public testing::Test {
  protected:
    Result<Imatrix> read(const std::string& bytes) {
        return read_soon(folder_.write("old.dat", std::string_view(bytes)));
    }
    support::TempFolder folder_;
};

TEST_F(ImatrixDat, ReadsItsBytes) {
    const Imatrix matrix = must(read(dat_image()));
    EXPECT_TRUE(matrix.counts_chunks);
    ASSERT_EQ(matrix.entries.size(), 2U);
    EXPECT_EQ(matrix.entries.at("a.weight").squares, (std::vector<double>{3, 6, 9, 0}));
    EXPECT_EQ(matrix.entries.at("a.weight").rows, std::vector<double>{3});
    EXPECT_EQ(matrix.chunks, 3U);
    EXPECT_EQ(matrix.datasets, std::vector<std::string>{"wiki"});
    // The first version had nothing behind the entries.
    const Imatrix first = must(read(dat_image().substr(0, behind_entries)));
    EXPECT_EQ(first.entries.size(), 2U);
    EXPECT_TRUE(first.datasets.empty());
}

/// Both files are llama-imatrix's, of one run: the old one is as if each weight's sum were divided and multiplied.
TEST_F(ImatrixDat, SaysWhatTheGgufFileOfTheSameRunSays) {
    const std::string data = std::string(PUNA_TEST_DATA) + "/formats/data/imatrix/llama_imatrix";
    const Imatrix old = must(read_imatrix(data + ".dat"));
    const Imatrix gguf = must(read_imatrix(data + ".gguf"));
    EXPECT_TRUE(old.counts_chunks);
    EXPECT_FALSE(gguf.counts_chunks);
    EXPECT_EQ(old.datasets, gguf.datasets);
    ASSERT_EQ(old.entries.size(), 14U);
    ASSERT_EQ(gguf.entries.size(), 14U);
    for (const auto& [name, entry] : gguf.entries) {
        const auto expected = entry.importance(entry.columns());
        const auto found = old.entries.at(name).importance(entry.columns());
        ASSERT_EQ(found.size(), expected.size());
        for (std::size_t i = 0; i < found.size(); ++i)
            EXPECT_NEAR(found[i] / expected[i], 1, 1e-6) << name << ", column " << i;
    }
}

/// It does not say how many matrices (experts) its values are of: the tensor does.
TEST_F(ImatrixDat, ValuesOfSeveralMatricesAreToldApartByTheTensor) {
    const ImatrixEntry entry = {{1, 3, 5, 5}, {2}};
    EXPECT_EQ(entry.importance(2), (std::vector<float>{0.5F, 1.5F, 1, 1}));
    FoundTensor tensor = {.name = "experts", .type = quant::TensorType::F32, .shape = {2, 7, 2}, .parts = {}};
    EXPECT_TRUE(check_entry(entry, tensor).ok());
    tensor.shape = {3, 7, 2};
    EXPECT_FALSE(check_entry(entry, tensor).ok());
    EXPECT_FALSE(check_entry({{1, 3, 5, 5}, {1, 1, 1, 1}}, tensor).ok());
}

struct BadDat {
    const char* name;
    std::string bytes;
    const char* says;
};

class BadImatrixDat : public testing::TestWithParam<BadDat> {};

TEST_P(BadImatrixDat, IsNamedWithFieldAndOffset) {
    const support::TempFolder folder;
    const auto result = read_soon(folder.write("bad.dat", std::string_view(GetParam().bytes)));
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::file_malformed) << result.error().message;
    EXPECT_THAT(result.error().message, HasSubstr(GetParam().says));
    EXPECT_THAT(result.error().message, ContainsRegex("bad.dat: .*\\(at byte [0-9]+\\)"));
    EXPECT_NE(result.error().hint, "");
}

/// dat_image with the bytes at `offset` replaced.
template <typename T>
std::string changed_dat(std::size_t offset, T value) {
    std::string bytes = dat_image();
    std::memcpy(bytes.data() + offset, &value, sizeof value);
    return bytes;
}

constexpr std::int32_t dat_least = std::numeric_limits<std::int32_t>::min();  // 2^31 to who reads it without a sign

INSTANTIATE_TEST_SUITE_P(
    All, BadImatrixDat,
    testing::Values(
        BadDat{"entries_minus_1", changed_dat(0, -1), "header, number of entries is -1; it must be 1 at least"},
        BadDat{"entries_0", changed_dat(0, 0), "header, number of entries is 0"},
        BadDat{"entries_2_31", changed_dat(0, dat_least), "header, number of entries is -2147483648"},
        BadDat{"entries_too_many", changed_dat(0, 65'537), "header, number of entries is 65537; at most 65536"},
        BadDat{"entries_beyond", changed_dat(0, 60'000),
               "number of values needs 4 bytes, but the file ends 1 bytes on"},
        BadDat{"name_length_minus_1", changed_dat(second_entry, -1), "entry 1, name has a length of 4294967295 bytes"},
        BadDat{"name_length_2_31", changed_dat(second_entry, dat_least),
               "entry 1, name has a length of 2147483648 bytes"},
        BadDat{"name_length_0", changed_dat(second_entry, 0), "entry 1, name is empty"},
        BadDat{"name_beyond", changed_dat(second_entry, 200), "entry 1, name has a length of 200 bytes, but the file"},
        BadDat{"name_twice", raw(std::int32_t{2}) + dat_entry("a.weight", 1, {1}) + dat_entry("a.weight", 1, {1}),
               "entry 'a.weight', name occurs twice"},
        BadDat{"chunks_0", changed_dat(first_values - 8, 0), "entry 'a.weight', chunks is 0; it must be 1 at least"},
        BadDat{"chunks_minus_1", changed_dat(first_values - 8, -1), "entry 'a.weight', chunks is -1"},
        BadDat{"values_0", changed_dat(first_values - 4, 0), "entry 'a.weight', number of values is 0"},
        BadDat{"values_minus_1", changed_dat(first_values - 4, -1), "entry 'a.weight', number of values is -1"},
        BadDat{"values_2_31", changed_dat(first_values - 4, dat_least), "number of values is -2147483648"},
        BadDat{"values_most", changed_dat(first_values - 4, std::numeric_limits<std::int32_t>::max()),
               "entry 'a.weight', values needs 8589934588 bytes, but the file ends"},
        BadDat{"value_nan", changed_dat(first_values + 4, std::nanf("")), "entry 'a.weight', value 1 is nan"},
        BadDat{"value_infinite", changed_dat(first_values, std::numeric_limits<float>::infinity()), "value 0 is inf"},
        BadDat{"value_negative", changed_dat(first_values + 12, -1.0F), "value 3 is -1; it must be a sum of squares"},
        BadDat{"all_chunks_minus_1", changed_dat(behind_entries, -1), "header, chunks is -1"},
        BadDat{"dataset_minus_1", changed_dat(behind_entries + 4, -1), "header, dataset has a length of 4294967295"},
        BadDat{"bytes_behind", dat_image() + "x", "header, dataset is followed by 1 bytes"}),
    [](const auto& param) { return param.param.name; });

TEST_F(ImatrixDat, TruncationAtEveryOtherByteIsAnError) {
    const std::string bytes = dat_image();
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        const auto result = read(bytes.substr(0, size));
        if (size == behind_entries) {
            EXPECT_TRUE(result.ok());
            continue;
        }
        ASSERT_FALSE(result.ok()) << size;
        // Shorter ones may be files of any kind.
        EXPECT_TRUE(result.error().code == ErrorCode::file_malformed ||
                    (size <= 8 && result.error().code == ErrorCode::unsupported_format))
            << size << ": " << result.error().message;
        EXPECT_THAT(result.error().message, ContainsRegex("\\(at byte [0-9]+\\)")) << size;
    }
}

TEST_F(ImatrixDat, RandomMutationsNeverCrash) {
    std::mt19937_64 random(20'240'112);
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    for (int round = 0; round < 2'000; ++round) {
        std::string bytes = dat_image();
        for (std::size_t change = 1 + below(3); change > 0; --change)
            bytes[below(bytes.size())] = static_cast<char>(random());
        (void)read_imatrix_dat(std::as_bytes(std::span(bytes)), "x.dat");
    }
}

}  // namespace
}  // namespace puna::formats
