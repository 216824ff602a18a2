#include "engine/session/compression.h"

#include <zstd.h>

namespace puna::engine {
namespace {

constexpr int level = 1;  // higher ones make keys and values hardly smaller

}  // namespace

Result<std::vector<std::byte>> compress(std::span<const std::byte> bytes) {
    std::vector<std::byte> frame(ZSTD_compressBound(bytes.size()));
    const std::size_t size = ZSTD_compress(frame.data(), frame.size(), bytes.data(), bytes.size(), level);
    if (ZSTD_isError(size) != 0) return Error{ErrorCode::out_of_memory, "not enough memory to compress a session", ""};
    frame.resize(size < bytes.size() && bytes.size() / most_compression < size ? size : 0);
    frame.shrink_to_fit();
    return frame;
}

bool decompress(std::span<const std::byte> frame, std::span<std::byte> to) {
    if (ZSTD_getFrameContentSize(frame.data(), frame.size()) != to.size()) return false;
    if (ZSTD_findFrameCompressedSize(frame.data(), frame.size()) != frame.size()) return false;
    return ZSTD_decompress(to.data(), to.size(), frame.data(), frame.size()) == to.size();
}

}  // namespace puna::engine
