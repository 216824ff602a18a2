// Blocks and values as the `gguf` package converts them (tools/make_quant_expected.py): ours must be the same bits.
#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "quant/tensor_type.h"

namespace puna::quant {
namespace {

/// Reads what the script wrote, front to back.
class Reader {
  public:
    explicit Reader(const std::string& name) {
        std::ifstream file(std::string(PUNA_TEST_DATA) + "/quant/data/" + name, std::ios::binary);
        bytes_.assign(std::istreambuf_iterator<char>(file), {});
    }
    bool empty() const { return bytes_.empty(); }
    bool more() const { return at_ < bytes_.size(); }

    template <typename T>
    std::vector<T> take(std::size_t count) {
        std::vector<T> out(count);
        if (count * sizeof(T) > bytes_.size() - at_) {
            ADD_FAILURE() << "the file is too short";
            at_ = bytes_.size();
            return out;
        }
        std::memcpy(out.data(), bytes_.data() + at_, count * sizeof(T));
        at_ += count * sizeof(T);
        return out;
    }
    std::uint32_t u32() { return take<std::uint32_t>(1)[0]; }

  private:
    std::vector<char> bytes_;
    std::size_t at_ = 0;
};

TEST(ExpectedValues, DecodingGivesTheSameBits) {
    Reader reader("decode.bin");
    ASSERT_FALSE(reader.empty());
    int types = 0;
    for (; reader.more(); ++types) {
        const TypeInfo* info = find_type(reader.u32());
        ASSERT_NE(info, nullptr);
        SCOPED_TRACE(info->name);
        const std::size_t blocks = reader.u32();
        const auto encoded = reader.take<std::byte>(blocks * info->block_bytes);
        const auto expected = reader.take<std::uint32_t>(blocks * info->block_elements);
        std::vector<float> decoded(expected.size());
        info->to_float(encoded.data(), decoded.data(), decoded.size());
        for (std::size_t i = 0; i < expected.size(); ++i) {
            ASSERT_EQ(std::bit_cast<std::uint32_t>(decoded[i]), expected[i])
                << "block " << i / info->block_elements << ", element " << i % info->block_elements << ": "
                << decoded[i] << ", expected " << std::bit_cast<float>(expected[i]);
        }
    }
    EXPECT_EQ(types, 26);
}

void expect_same_bytes(const char* file, int expected_types) {
    Reader reader(file);
    ASSERT_FALSE(reader.empty());
    const auto values = reader.take<float>(reader.u32());
    int types = 0;
    for (; reader.more(); ++types) {
        const TypeInfo* info = find_type(reader.u32());
        ASSERT_NE(info, nullptr);
        SCOPED_TRACE(info->name);
        const auto expected = reader.take<std::byte>(reader.u32());
        ASSERT_EQ(expected.size(), values.size() / info->block_elements * info->block_bytes);
        std::vector<std::byte> encoded(expected.size());
        info->from_float(values.data(), encoded.data(), values.size());
        for (std::size_t i = 0; i < expected.size(); ++i) {
            ASSERT_EQ(encoded[i], expected[i])
                << "block " << i / info->block_bytes << ", byte " << i % info->block_bytes;
        }
    }
    EXPECT_EQ(types, expected_types);
}

TEST(ExpectedValues, EncodingGivesTheSameBytes) {
    expect_same_bytes("encode.bin", 9);
    expect_same_bytes("encode_ternary.bin", 2);
}

}  // namespace
}  // namespace puna::quant
