#include "convert/split.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <span>
#include <system_error>
#include <utility>

#include "base/try.h"
#include "formats/gguf/layout.h"
#include "formats/gguf/shards.h"
#include "formats/printable.h"

namespace puna::convert {
namespace {

using formats::FoundTensor;
using formats::gguf::FileLayout;
using formats::gguf::ShardPlace;
using formats::gguf::TensorEntry;

/// The plan's files one after another, as they fill up.
class Cutter {
  public:
    Cutter(const SplitLimits& limits, std::uint64_t first_head_bytes, std::uint64_t head_bytes)
        : limits_(limits), bytes_(first_head_bytes), head_bytes_(head_bytes) {}

    /// `bytes`: of the tensor's entry and data, padding included.
    void add(std::uint64_t bytes) {
        const bool full = limits_.max_tensors > 0 && counts_.back() >= limits_.max_tensors;
        const bool large = limits_.max_bytes > 0 && bytes_ + bytes > limits_.max_bytes;
        // The first file may stay without tensors, beside metadata that fit.
        const bool may_close = counts_.back() > 0 || (counts_.size() == 1 && bytes_ <= limits_.max_bytes);
        if (full || (large && may_close)) {
            counts_.push_back(0);
            bytes_ = head_bytes_;
        }
        bytes_ += bytes;
        ++counts_.back();
    }
    const std::vector<std::uint64_t>& counts() const { return counts_; }

  private:
    SplitLimits limits_;
    std::uint64_t bytes_;  // of the last file
    std::uint64_t head_bytes_;
    std::vector<std::uint64_t> counts_ = {0};  // [files] of tensors
};

std::vector<TensorEntry> entries_of(const formats::ModelFile& model) {
    std::vector<TensorEntry> entries;
    entries.reserve(model.tensors.size());
    for (const FoundTensor& tensor : model.tensors)
        entries.push_back({tensor.name, tensor.type, tensor.shape});
    return entries;
}

Result<FileLayout> lay_out_shard(const formats::ModelFile& model, std::span<const TensorEntry> entries,
                                 const ShardPlace& place) {
    if (place.number == 0) return formats::gguf::lay_out_file(model.metadata, model.vocabulary, entries, &place);
    return formats::gguf::lay_out_file({}, {}, entries, &place);
}

class ShardWriter {
  public:
    ShardWriter(const SplitPlan& plan, const std::string& prefix, const SplitProgress& progress)
        : plan_(plan), prefix_(prefix), progress_(progress) {
        for (const FoundTensor& tensor : plan.source->tensors)
            all_ += tensor.bytes();
    }

    Result<void> write_all() {
        PUNA_CHECK(check_targets());
        Result<void> written = advance(0);
        for (std::size_t i = plan_.shards.size(); written.ok() && i-- > 0;)
            written = write(i);
        if (!written.ok()) remove_written();
        return written;
    }

  private:
    Result<void> check_targets() const {
        for (std::size_t i = 0; i < plan_.shards.size(); ++i) {
            const std::string path = plan_.path(prefix_, i);
            if (!plan_.source->has_file(path)) continue;
            return Error{ErrorCode::invalid_argument,
                         fmt::format("{} is a file of the model that is read", formats::printable_path(path)),
                         "choose another name for the shards"};
        }
        return {};
    }

    Result<void> write(std::size_t index) {
        const PlannedShard& shard = plan_.shards[index];
        const std::string path = plan_.path(prefix_, index);
        PUNA_TRY(formats::gguf::Writer out, formats::gguf::Writer::create(path, shard.layout));
        for (const FoundTensor& tensor : std::span(plan_.source->tensors).subspan(shard.first, shard.count)) {
            for (const formats::TensorPart& part : tensor.parts)
                PUNA_CHECK(copy(part, out));
        }
        PUNA_CHECK(plan_.source->check_mappings());
        PUNA_CHECK(out.commit());
        written_.push_back(path);
        return {};
    }

    Result<void> copy(const formats::TensorPart& part, formats::gguf::Writer& out) {
        constexpr std::uint64_t step = std::uint64_t{16} << 20;
        for (std::uint64_t begin = 0; begin < part.data.size(); begin += step) {
            const auto piece = part.data.subspan(begin, std::min(step, part.data.size() - begin));
            const Result<void> copied = out.write(piece);
            if (part.mapping != nullptr) {
                PUNA_CHECK(part.mapping->check());  // a file that was cut short is why a write failed
                part.mapping->release_pages(piece);
            }
            PUNA_CHECK(copied);
            PUNA_CHECK(advance(piece.size()));
        }
        return {};
    }

    void remove_written() const {
        for (const std::string& path : written_) {
            std::error_code ignored;
            std::filesystem::remove(path, ignored);
        }
    }

    Result<void> advance(std::uint64_t bytes) {
        done_ += bytes;
        if (!progress_ || progress_(done_, all_)) return {};
        return Error{ErrorCode::cancelled, "interrupted; nothing was written", ""};
    }

    const SplitPlan& plan_;
    const std::string& prefix_;
    const SplitProgress& progress_;
    std::uint64_t done_ = 0;
    std::uint64_t all_ = 0;
    std::vector<std::string> written_;
};

}  // namespace

std::string SplitPlan::path(const std::string& prefix, std::size_t shard) const {
    return prefix + formats::gguf::shard_name_ending(shard, shards.size());
}

std::uint64_t SplitPlan::bytes() const {
    std::uint64_t sum = 0;
    for (const PlannedShard& shard : shards)
        sum += shard.layout.file_bytes;
    return sum;
}

Result<SplitPlan> plan_split(std::shared_ptr<const formats::ModelFile> source, const SplitLimits& limits) {
    if (limits.max_bytes == 0 && limits.max_tensors == 0) {
        return Error{ErrorCode::invalid_argument, "nothing says how large a shard may be", "give a limit"};
    }
    if (source->dialect != formats::Dialect::gguf) {
        return Error{ErrorCode::invalid_argument,
                     fmt::format("{} is {}; only GGUF models can be split", formats::printable_path(source->path),
                                 source->format),
                     "turn it into GGUF first, with 'puna convert'"};
    }
    const std::vector<TensorEntry> entries = entries_of(*source);
    ShardPlace place = {0, 1, entries.size()};
    PUNA_TRY(const FileLayout first_head, lay_out_shard(*source, {}, place));
    place.number = 1;
    PUNA_TRY(const FileLayout head, lay_out_shard(*source, {}, place));
    const std::uint64_t alignment = std::max(first_head.alignment, head.alignment);

    // Padding behind the head and behind each tensor is counted whole, so that no file comes out too large.
    Cutter cutter(limits, first_head.head.size() + alignment, head.head.size() + alignment);
    for (const TensorEntry& entry : entries) {
        PUNA_TRY(const formats::gguf::TensorSize size, formats::gguf::size_of_tensor(entry));
        cutter.add(size.entry + (size.data + alignment - 1) / alignment * alignment);
    }
    SplitPlan plan;
    plan.source = std::move(source);
    plan.limits = limits;
    place.count = cutter.counts().size();
    if (place.count > formats::gguf::max_shards) {
        return Error{
            ErrorCode::invalid_argument,
            fmt::format("the model would lie in {} files; {} are the most", place.count, formats::gguf::max_shards),
            "allow more in each"};
    }
    std::size_t next = 0;
    for (place.number = 0; place.number < place.count; ++place.number) {
        PlannedShard shard;
        shard.first = next;
        shard.count = cutter.counts()[place.number];
        PUNA_TRY(shard.layout, lay_out_shard(*plan.source, std::span(entries).subspan(next, shard.count), place));
        next += shard.count;
        plan.shards.push_back(std::move(shard));
    }
    return plan;
}

Result<void> write_shards(const SplitPlan& plan, const std::string& prefix, const SplitProgress& progress) {
    return ShardWriter(plan, prefix, progress).write_all();
}

}  // namespace puna::convert
