#include "formats/ggml/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>
#include <string_view>
#include <utility>

#include "base/checked.h"
#include "base/try.h"
#include "formats/ggml/vocabulary.h"
#include "formats/gguf/cursor.h"
#include "formats/printable.h"
#include "quant/tensor_type.h"

namespace puna::formats::ggml {
namespace {

using gguf::Cursor;
using gguf::Field;
using quant::TensorType;

constexpr std::string_view anew = "convert the model anew from its original weights";

constexpr Field header_field(std::string_view part) {
    return {"header", {}, 0, part, {}};
}

Error unsupported(const Cursor& cursor, ErrorCode code, const Field& field, std::string_view problem,
                  std::uint64_t offset, std::string_view hint) {
    Error error = cursor.malformed(field, problem, offset);
    error.code = code;
    error.hint = hint;
    return error;
}

// ---- Header ----

Result<Container> read_container(Cursor& cursor) {
    Container container;
    PUNA_TRY(container.magic, cursor.number<std::uint32_t>(header_field("magic")));
    if (container.magic == ggml_magic) return container;
    if (container.magic != ggmf_magic && container.magic != ggjt_magic) {
        return cursor.malformed(header_field("magic"), "is none of GGML, GGMF and GGJT", 0);
    }
    PUNA_TRY(container.version, cursor.number<std::uint32_t>(header_field("version")));
    const std::uint32_t newest = container.magic == ggmf_magic ? 1 : block_layouts;
    if (container.version == 0 || container.version > newest) {
        const auto problem = fmt::format("is {}; puna reads versions 1 to {}", container.version, newest);
        return unsupported(cursor, ErrorCode::unsupported_format, header_field("version"), problem, 4,
                           "there are no others: the file is damaged; fetch it again");
    }
    return container;
}

struct Header {
    Metadata metadata;
    std::uint32_t tokens = 0;
    BlockLayout blocks = BlockLayout::ggjt1;
};

class HeaderReader {
  public:
    HeaderReader(Cursor& cursor, const Container& container) : cursor_(cursor), container_(container) {}

    /// The retired types are an error only where `refuse_retired`: a file that has one is of its family all the same.
    Result<Header> read(const Layout& layout, bool refuse_retired) {
        refuse_retired_ = refuse_retired;
        for (const HeaderField& field : layout.fields)
            PUNA_CHECK(read(field));
        const std::uint64_t at = cursor_.offset();
        if (layout.repeats_vocabulary_size) {
            PUNA_TRY(const auto again, cursor_.number<std::uint32_t>(header_field("n_vocab once more")));
            if (again != header_.tokens) {
                const auto problem = fmt::format("is {}, and n_vocab is {}", again, header_.tokens);
                return cursor_.malformed(header_field("n_vocab once more"), problem, at);
            }
        }
        return std::move(header_);
    }

  private:
    Result<void> read(const HeaderField& field) {
        const std::uint64_t at = cursor_.offset();
        const std::string key(field.name);
        header_.metadata.offsets[key] = at;
        MetadataValue& value = header_.metadata.values[key];
        if (field.kind == FieldKind::real) {
            PUNA_TRY(const float real, cursor_.number<float>(header_field(field.name)));
            if (!std::isfinite(real)) return cursor_.malformed(header_field(field.name), "is no finite number", at);
            value = static_cast<double>(real);
            return {};
        }
        PUNA_TRY(const auto number, cursor_.number<std::int32_t>(header_field(field.name)));
        if (field.kind == FieldKind::number) {
            value = static_cast<std::int64_t>(number);
            return {};
        }
        const bool is_type = field.kind == FieldKind::file_type;
        if (number < (is_type ? 0 : 1)) {
            return cursor_.malformed(header_field(field.name), fmt::format("is {}, which it cannot be", number), at);
        }
        const auto count = static_cast<std::uint32_t>(number);
        value = std::uint64_t{count};
        if (is_type) return read_file_type(count, at);
        return field.name == vocabulary_size_key ? read_vocabulary_size(count, at) : Result<void>();
    }

    Result<void> read_vocabulary_size(std::uint32_t count, std::uint64_t at) {
        header_.tokens = count;
        const std::uint64_t token_bytes = container_.has_scores() ? 8 : 4;  // of an empty one
        const Field field = header_field(vocabulary_size_key);
        if (count > max_tokens) {
            return cursor_.malformed(field, fmt::format("is {}; at most {} are allowed", count, max_tokens), at);
        }
        if (count <= cursor_.remaining() / token_bytes) return {};
        const auto problem = fmt::format("is {}, but the file ends {} bytes on", count, cursor_.remaining());
        return cursor_.malformed(field, problem, at);
    }

    Result<void> read_file_type(std::uint32_t value, std::uint64_t at) {
        const Field field = header_field(file_type_key);
        const FileType* type = find_file_type(value % ftype_factor);
        const std::uint32_t blocks = value / ftype_factor;
        if (type == nullptr || blocks >= block_layouts) {
            return cursor_.malformed(field, fmt::format("is {}, which names no type", value), at);
        }
        header_.blocks = static_cast<BlockLayout>(blocks);
        if (container_.magic == ggjt_magic) {
            const std::uint32_t stated = container_.version - 1;
            if (blocks != 0 && blocks != stated) {
                const auto problem = fmt::format("is {}, whose blocks are not those of {}", value, container_.name());
                return cursor_.malformed(field, problem, at);
            }
            header_.blocks = static_cast<BlockLayout>(stated);
        }
        if (!type->retired || !refuse_retired_) return {};
        return unsupported(cursor_, ErrorCode::unsupported_tensor_type, field,
                           fmt::format("is {}: {}, which was given up in May 2023", value, type->name), at, anew);
    }

    Cursor& cursor_;
    const Container& container_;
    bool refuse_retired_ = true;
    Header header_;
};

// ---- Vocabulary ----

Result<Words> read_words(Cursor& cursor, const Container& container, std::uint32_t count) {
    Words words;
    words.texts.reserve(count);
    if (container.has_scores()) words.scores.reserve(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        const Field field = {"token", {}, i, "length", {}};
        PUNA_TRY(const std::string_view text, cursor.string(field, max_token_bytes));
        words.texts.push_back(text);
        if (!container.has_scores()) continue;
        const std::uint64_t at = cursor.offset();
        PUNA_TRY(const float score, cursor.number<float>(field.with("score")));
        if (!std::isfinite(score)) return cursor.malformed(field.with("score"), "is no finite number", at);
        words.scores.push_back(score);
    }
    return words;
}

// ---- Tensors ----

/// The type that a tensor's id stands for; null for one that there is not. Ids up to the k-quants are GGUF's.
const quant::TypeInfo* type_of(std::uint32_t id, BlockLayout blocks) {
    const auto pick = [&](TensorType ggjt1, TensorType ggjt2, TensorType ggjt3) {
        const TensorType types[] = {ggjt1, ggjt2, ggjt3};
        return &quant::type_info(types[static_cast<std::size_t>(blocks)]);
    };
    switch (static_cast<TensorType>(id)) {
        case TensorType::F32:
        case TensorType::F16: return quant::find_type(id);
        case TensorType::Q4_0: return pick(TensorType::Q4_0_GGJT1, TensorType::Q4_0_GGJT2, TensorType::Q4_0);
        case TensorType::Q4_1: return pick(TensorType::Q4_1_GGJT1, TensorType::Q4_1_GGJT2, TensorType::Q4_1);
        case TensorType::Q5_0: return pick(TensorType::Q5_0_GGJT1, TensorType::Q5_0, TensorType::Q5_0);
        case TensorType::Q5_1: return pick(TensorType::Q5_1_GGJT1, TensorType::Q5_1, TensorType::Q5_1);
        case TensorType::Q8_0: return pick(TensorType::Q8_0_GGJT2, TensorType::Q8_0_GGJT2, TensorType::Q8_0);
        case TensorType::Q2_K:
        case TensorType::Q3_K:
        case TensorType::Q4_K:
        case TensorType::Q5_K:
        case TensorType::Q6_K: return blocks == BlockLayout::ggjt3 ? quant::find_type(id) : nullptr;
        default: return nullptr;
    }
}

class TensorReader {
  public:
    TensorReader(Cursor& cursor, const Container& container, BlockLayout blocks, std::uint64_t index)
        : cursor_(cursor), container_(container), blocks_(blocks), index_(index) {}

    /// The record, up to where its data begin.
    Result<FoundTensor> read_record() {
        FoundTensor tensor;
        tensor.record_offset = cursor_.offset();
        PUNA_TRY(const std::uint32_t dimensions, read_count("n_dims", max_dimensions));
        PUNA_TRY(const std::uint32_t name_bytes, read_count("name length", max_name_bytes));
        const std::uint64_t type_at = cursor_.offset();
        PUNA_TRY(const auto type_id, cursor_.number<std::uint32_t>(field("type")));
        PUNA_CHECK(read_shape(dimensions, tensor));
        PUNA_TRY(const auto name, cursor_.raw(field("name"), name_bytes));
        tensor.name = std::string(reinterpret_cast<const char*>(name.data()), name.size());
        name_ = tensor.name;
        PUNA_CHECK(read_type(type_id, type_at, tensor));
        return tensor;
    }

    /// The data behind the record.
    Result<std::span<const std::byte>> read_data(const FoundTensor& tensor) {
        if (container_.is_aligned()) {
            const std::uint64_t padding = (data_alignment - cursor_.offset() % data_alignment) % data_alignment;
            PUNA_CHECK(cursor_.raw(field("padding"), padding));
        }
        const quant::TypeInfo& type = quant::type_info(tensor.type);
        const auto bytes = base::checked_multiply(tensor.elements() / type.block_elements, type.block_bytes);
        if (!bytes) return cursor_.malformed(field("data"), "have a size that overflows", tensor.record_offset);
        return cursor_.raw(field("data"), *bytes);
    }

  private:
    Field field(std::string_view part) const { return {"tensor", name_, index_, part, {}}; }

    Result<std::uint32_t> read_count(std::string_view part, std::uint32_t most) {
        const std::uint64_t at = cursor_.offset();
        PUNA_TRY(const auto count, cursor_.number<std::int32_t>(field(part)));
        if (count >= 1 && static_cast<std::uint32_t>(count) <= most) return static_cast<std::uint32_t>(count);
        return cursor_.malformed(field(part), fmt::format("is {}; it must be 1 to {}", count, most), at);
    }

    /// Innermost dimension first, each in 32 bits.
    Result<void> read_shape(std::uint32_t dimensions, FoundTensor& tensor) {
        std::uint64_t elements = 1;
        for (std::uint32_t i = 0; i < dimensions; ++i) {
            const std::uint64_t at = cursor_.offset();
            PUNA_TRY(const auto dimension, cursor_.number<std::int32_t>(field("dimension").with("dimension", i)));
            const auto product =
                dimension < 1 ? std::nullopt : base::checked_multiply(elements, static_cast<std::uint64_t>(dimension));
            if (!product || *product > std::uint64_t{1} << 62) {
                return cursor_.malformed(
                    field("dimension").with("dimension", i),
                    fmt::format("is {}{}", dimension,
                                dimension < 1 ? ", and must be positive" : ": the number of elements overflows"),
                    at);
            }
            elements = *product;
            tensor.shape.push_back(static_cast<std::uint64_t>(dimension));
        }
        std::reverse(tensor.shape.begin(), tensor.shape.end());
        return {};
    }

    Result<void> read_type(std::uint32_t id, std::uint64_t at, FoundTensor& tensor) {
        if (const auto retired = quant::retired_type_name(id); retired == "Q4_2" || retired == "Q4_3") {
            return unsupported(cursor_, ErrorCode::unsupported_tensor_type, field("type"),
                               fmt::format("is {}: {}, which was given up in May 2023", id, retired), at, anew);
        }
        const quant::TypeInfo* type = type_of(id, blocks_);
        if (type == nullptr) {
            return cursor_.malformed(field("type"), fmt::format("is {}, which no file of this kind has", id), at);
        }
        tensor.type = type->type;
        if (tensor.shape.back() % type->block_elements == 0) return {};
        return cursor_.malformed(field("type"),
                                 fmt::format("is {}, whose blocks of {} do not divide rows of {}", type->name,
                                             type->block_elements, tensor.shape.back()),
                                 at);
    }

    Cursor& cursor_;
    const Container& container_;
    BlockLayout blocks_;
    std::uint64_t index_;
    std::string name_;
};

// ---- Files ----

/// A file's bytes, up to the first tensor's record, by one layout.
struct Beginning {
    Cursor cursor;
    Container container;
    Header header;
    Words words;
};

Result<Beginning> read_beginning(const base::FileMapping& mapping, const Layout& layout, bool refuse_retired) {
    Beginning beginning{Cursor(mapping.bytes(), mapping.path()), {}, {}, {}};
    beginning.cursor.use_narrow_counts(true);
    PUNA_TRY(beginning.container, read_container(beginning.cursor));
    PUNA_TRY(beginning.header, HeaderReader(beginning.cursor, beginning.container).read(layout, refuse_retired));
    PUNA_TRY(beginning.words, read_words(beginning.cursor, beginning.container, beginning.header.tokens));
    return beginning;
}

Result<std::vector<FoundTensor>> read_tensors(Beginning& beginning,
                                              const std::shared_ptr<const base::FileMapping>& mapping) {
    Cursor& cursor = beginning.cursor;
    std::vector<FoundTensor> tensors;
    while (cursor.remaining() > 0) {
        if (tensors.size() == max_tensors) {
            return cursor.malformed({"tensor", {}, max_tensors, "", {}},
                                    fmt::format("is one more than the {} that are allowed", max_tensors),
                                    cursor.offset());
        }
        TensorReader reader(cursor, beginning.container, beginning.header.blocks, tensors.size());
        PUNA_TRY(FoundTensor tensor, reader.read_record());
        PUNA_TRY(const auto data, reader.read_data(tensor));
        tensor.parts.push_back({data, mapping});
        tensors.push_back(std::move(tensor));
    }
    return tensors;
}

/// How far a file follows a layout: 0 not to its tensors, 1 through the first tensor's record, 2 and there is the
/// matrix that the family's files have.
int likeness(const std::shared_ptr<const base::FileMapping>& mapping, const Layout& layout) {
    auto beginning = read_beginning(*mapping, layout, false);
    if (!beginning.ok()) return 0;
    Cursor& cursor = beginning->cursor;
    for (std::uint64_t i = 0; cursor.remaining() > 0; ++i) {
        TensorReader reader(cursor, beginning->container, beginning->header.blocks, i);
        const auto tensor = reader.read_record();
        if (!tensor.ok()) return i == 0 && tensor.error().code == ErrorCode::file_malformed ? 0 : 1;
        if (tensor->name == layout.embedding) return 2;
        if (!reader.read_data(*tensor).ok() || i == max_tensors) return 1;
    }
    return 1;
}

const Layout& recognize(const std::shared_ptr<const base::FileMapping>& mapping) {
    const Layout* best = &all_layouts().front();
    int best_likeness = 0;
    for (const Layout& layout : all_layouts()) {
        const int found = likeness(mapping, layout);
        if (found > best_likeness) best = &layout;
        best_likeness = std::max(best_likeness, found);
        if (best_likeness == 2) break;
    }
    return *best;
}

Result<File> read_mapped(const std::shared_ptr<const base::FileMapping>& mapping) {
    const Layout& layout = recognize(mapping);
    PUNA_TRY(Beginning beginning, read_beginning(*mapping, layout, true));
    File file;
    file.mapping = mapping;
    file.container = beginning.container;
    file.layout = &layout;
    file.metadata = std::move(beginning.header.metadata);
    PUNA_TRY(file.tensors, read_tensors(beginning, mapping));
    file.vocabulary = make_vocabulary(beginning.words, layout);
    return file;
}

}  // namespace

Result<File> read_file(const std::shared_ptr<const base::FileMapping>& mapping) {
    return base::unless_changed(*mapping, read_mapped(mapping));
}

}  // namespace puna::formats::ggml
