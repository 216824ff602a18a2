#include "base/large_pages.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>

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

/// 0 too where the system does not tell, as in an emulator.
std::uint64_t large(const Mapping& mapping) {
    return bytes_in_large_pages(mapping.bytes()).value_or(0);
}

TEST(LargePages, AreNoMoreThanTheMappingHas) {
    constexpr std::size_t bytes = 5 * large_page_bytes;
    const Mapping mapping(bytes);
    ASSERT_NE(mapping.data(), MAP_FAILED);
    EXPECT_EQ(large(mapping), 0u);  // nothing is there before it is touched
    prefer_large_pages(mapping.data(), bytes);
    std::memset(mapping.data(), 1, bytes);
    EXPECT_LE(large(mapping), bytes);
    EXPECT_EQ(large(mapping) % large_page_bytes, 0u);
}

TEST(LargePages, OfSmallPagesThereAreNone) {
    const Mapping mapping(4 * large_page_bytes);
    ASSERT_NE(mapping.data(), MAP_FAILED);
    madvise(mapping.data(), mapping.bytes().size(), MADV_NOHUGEPAGE);
    std::memset(mapping.data(), 1, mapping.bytes().size());
    EXPECT_EQ(large(mapping), 0u);
}

TEST(LargePages, OfWhatIsNotMappedNothingIsKnown) {
    EXPECT_EQ(bytes_in_large_pages(std::span(reinterpret_cast<const std::byte*>(4096), std::size_t{1})), std::nullopt);
}

}  // namespace
}  // namespace puna::base
