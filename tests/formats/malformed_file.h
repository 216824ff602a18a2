// What is asked of every malformed file.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "formats/largest_allocation.h"
#include "formats/model_file.h"

namespace puna::formats {

// A sanitizer makes all of it slower.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr std::chrono::seconds allowed_time{5};
#else
inline constexpr std::chrono::seconds allowed_time{1};
#endif

/// Reading `path` gives an error of one line that names the file, the field and its offset, with a hint: within a
/// second, and without an allocation of `allowed_allocation` bytes. `says`: the field, and what is wrong with it.
inline void expect_malformed(const std::string& path, ErrorCode code, const std::string& says,
                             const std::string& file_name, std::size_t allowed_allocation) {
    using ::testing::ContainsRegex;
    using ::testing::HasSubstr;
    largest_allocation = 0;
    const auto start = std::chrono::steady_clock::now();
    const auto result = read_model_file(path);
    const auto took = std::chrono::steady_clock::now() - start;
    const std::size_t largest = largest_allocation;

    ASSERT_FALSE(result.ok());
    EXPECT_EQ(error_code_name(result.error().code), error_code_name(code));
    EXPECT_THAT(result.error().message, HasSubstr(says));
    EXPECT_THAT(result.error().message, ContainsRegex("\\(at byte [0-9]+\\)"));
    EXPECT_THAT(result.error().message, HasSubstr(file_name));
    EXPECT_EQ(result.error().message.find('\n'), std::string::npos);
    EXPECT_NE(result.error().hint, "");
    EXPECT_LT(largest, allowed_allocation);
    EXPECT_LT(took, allowed_time);
}

/// Reading `path`, whose bytes may be any, gives a model (`model`) or an error with a message (then it is null),
/// without an allocation of `allowed_allocation` bytes.
inline void expect_model_or_error(const std::string& path, std::size_t allowed_allocation,
                                  std::shared_ptr<const ModelFile>& model) {
    model = nullptr;
    largest_allocation = 0;
    auto result = read_model_file(path);
    ASSERT_LT(largest_allocation, allowed_allocation);
    if (result.ok()) {
        model = std::move(result).value();
    } else {
        ASSERT_NE(result.error().message, "");
    }
}

}  // namespace puna::formats
