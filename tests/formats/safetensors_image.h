// Safetensors files made by hand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace puna::formats {

/// A file of this header and as many bytes of data, 0, 1, 2, ...; `header_size` in place of the header's size if given.
inline std::vector<std::byte> safetensors_image(std::string_view header, std::size_t data_bytes,
                                                std::int64_t header_size = -1) {
    const auto size = header_size < 0 ? std::uint64_t{header.size()} : static_cast<std::uint64_t>(header_size);
    std::vector<std::byte> image(sizeof size + header.size() + data_bytes);
    std::memcpy(image.data(), &size, sizeof size);
    std::memcpy(image.data() + sizeof size, header.data(), header.size());
    for (std::size_t i = 0; i < data_bytes; ++i)
        image[sizeof size + header.size() + i] = static_cast<std::byte>(i);
    return image;
}

/// Two tensors, 24 bytes of data.
inline constexpr std::string_view good_header =
    R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[8,24]},)"
    R"("b":{"dtype":"I64","shape":[],"data_offsets":[0,8]}})";
inline constexpr std::size_t good_data_bytes = 24;

}  // namespace puna::formats
