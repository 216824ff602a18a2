#include "base/large_pages.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <fstream>

namespace puna::base {
namespace {

class Mapping {
  public:
    explicit Mapping(std::size_t bytes)
        : bytes_(bytes), data_(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {}
    ~Mapping() { munmap(data_, bytes_); }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    std::byte* data() const { return static_cast<std::byte*>(data_); }
    std::span<const std::byte> bytes() const { return {data(), bytes_}; }

  private:
    std::size_t bytes_;
    void* data_;
};

bool system_tells() {
    return std::ifstream("/proc/self/smaps").good();
}

TEST(LargePages, AreNoMoreThanTheMappingHas) {
    if (!system_tells()) GTEST_SKIP() << "no /proc/self/smaps here";
    constexpr std::size_t bytes = 5 * large_page_bytes;
    const Mapping mapping(bytes);
    ASSERT_NE(mapping.data(), MAP_FAILED);
    EXPECT_EQ(bytes_in_large_pages(mapping.bytes()), 0u);  // nothing is there before it is touched
    prefer_large_pages(mapping.data(), bytes);
    std::memset(mapping.data(), 1, bytes);
    const auto large = bytes_in_large_pages(mapping.bytes());
    ASSERT_TRUE(large.has_value());
    EXPECT_LE(*large, bytes);
    EXPECT_EQ(*large % large_page_bytes, 0u);
}

TEST(LargePages, OfSmallPagesThereAreNone) {
    if (!system_tells()) GTEST_SKIP() << "no /proc/self/smaps here";
    const Mapping mapping(4 * large_page_bytes);
    ASSERT_NE(mapping.data(), MAP_FAILED);
    madvise(mapping.data(), mapping.bytes().size(), MADV_NOHUGEPAGE);
    std::memset(mapping.data(), 1, mapping.bytes().size());
    EXPECT_EQ(bytes_in_large_pages(mapping.bytes()), 0u);
}

TEST(LargePages, OfWhatIsNotMappedNothingIsKnown) {
    EXPECT_EQ(bytes_in_large_pages(std::span(reinterpret_cast<const std::byte*>(4096), std::size_t{1})), std::nullopt);
}

}  // namespace
}  // namespace puna::base
