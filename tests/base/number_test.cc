#include "base/number.h"

#include <gtest/gtest.h>

#include <string>

namespace puna::base {
namespace {

template <typename Number>
std::string message(std::string_view text) {
    const auto number = parse_number<Number>(text, "--top-k");
    if (number.ok()) return "ok";
    EXPECT_EQ(number.error().code, ErrorCode::invalid_argument);
    return number.error().message;
}

TEST(ParseNumber, WholeNumbers) {
    EXPECT_EQ(*parse_number<std::int32_t>("0", "x"), 0);
    EXPECT_EQ(*parse_number<std::int32_t>("-2147483648", "x"), INT32_MIN);
    EXPECT_EQ(*parse_number<std::int64_t>("+12", "x"), 12);
    EXPECT_EQ(*parse_number<std::uint32_t>("4294967295", "x"), UINT32_MAX);
    EXPECT_EQ(*parse_number<std::uint64_t>("18446744073709551615", "x"), UINT64_MAX);
}

TEST(ParseNumber, NotWholeNumbers) {
    for (const char* text : {"", " ", "abc", "1 ", " 1", "1x", "1.5", "0x10", "+-1", "--1", "+", "-", "1e3"}) {
        const std::string expected = "--top-k: \"" + std::string(text) + "\" is not a whole number";
        EXPECT_EQ(message<std::int32_t>(text), expected);
        EXPECT_EQ(message<std::uint64_t>(text), expected);
    }
    EXPECT_EQ(message<std::int32_t>(std::string_view("1\0", 2)).find("--top-k"), 0u);
}

TEST(ParseNumber, OutOfRange) {
    EXPECT_EQ(message<std::int32_t>("2147483648"), "--top-k: 2147483648 is out of range");
    EXPECT_EQ(message<std::uint32_t>("4294967296"), "--top-k: 4294967296 is out of range");
    EXPECT_EQ(message<std::uint32_t>("-1"), "--top-k: -1 is out of range");
    EXPECT_EQ(message<std::uint64_t>("99999999999999999999999"), "--top-k: 99999999999999999999999 is out of range");
    EXPECT_EQ(message<double>("1e400"), "--top-k: 1e400 is out of range");
    EXPECT_EQ(message<float>("1e39"), "--top-k: 1e39 is out of range");

    EXPECT_EQ(*parse_number<std::int32_t>("10", "n", 1, 10), 10);
    const auto whole = parse_number<std::int32_t>("11", "n", 1, 10);
    ASSERT_FALSE(whole.ok());
    EXPECT_EQ(whole.error().hint, "choose a value from 1 to 10");
    const auto real = parse_number<double>("-0.5", "--temp", 0.0);
    ASSERT_FALSE(real.ok());
    EXPECT_EQ(real.error().hint, "choose a value of 0 or more");
}

TEST(ParseNumber, FloatingPoint) {
    EXPECT_EQ(*parse_number<float>("0.1", "x"), 0.1f);
    EXPECT_EQ(*parse_number<double>("-1.5e3", "x"), -1500.0);
    EXPECT_EQ(*parse_number<double>("+.5", "x"), 0.5);
    EXPECT_EQ(*parse_number<double>("3", "x"), 3.0);
    EXPECT_EQ(*parse_number<double>("4.9406564584124654e-324", "x"), 4.9406564584124654e-324);
    for (const char* text : {"", "nan", "inf", "-infinity", "1,5", "1.5f", "0x1p3", "1e", ".", " 1.0"}) {
        EXPECT_EQ(message<double>(text), "--top-k: \"" + std::string(text) + "\" is not a number");
    }
}

}  // namespace
}  // namespace puna::base
