#include "formats/place_weights.h"

#include <fmt/format.h>

#include "base/memory_lock.h"
#include "base/numa.h"
#include "base/try.h"
#include "formats/printable.h"

namespace puna::formats {
namespace {

Result<void> read_weights(const ModelFile& file, const WeightMemory& memory) {
    std::uint64_t before = 0;  // bytes of the files that are read already
    for (const auto& mapping : file.mappings) {
        const auto tell = [&](std::uint64_t bytes) {
            if (memory.progress) memory.progress(before + bytes, file.file_bytes);
        };
        PUNA_CHECK(mapping->read_into_memory(tell));
        before += mapping->bytes().size();
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<const base::Prefault>> place_weights(const ModelFile& file, const WeightMemory& memory) {
    PUNA_TRY(const base::NumaScope numa, base::NumaScope::enter(memory.numa));
    std::unique_ptr<const base::Prefault> prefault;
    if (!memory.mapped) {
        PUNA_CHECK(read_weights(file, memory));
    } else if (numa.acts()) {
        for (const auto& mapping : file.mappings) {
            mapping->fetch_pages(mapping->bytes());
            numa.move(mapping->bytes());  // those that were in the page cache already
        }
    } else if (memory.prefault) {
        prefault = std::make_unique<const base::Prefault>(file.mappings);
    }
    return prefault;
}

Result<void> lock_weights(const ModelFile& file) {
    for (const auto& mapping : file.mappings)
        PUNA_CHECK(base::lock_memory(mapping->bytes(), printable_path(mapping->path())));
    for (const FoundTensor& tensor : file.tensors) {
        for (const TensorPart& part : tensor.parts) {
            if (part.memory) PUNA_CHECK(base::lock_memory(part.data, tensor.describe()));
        }
    }
    return {};
}

}  // namespace puna::formats
