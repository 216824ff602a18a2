#include "engine/session/fingerprint.h"

#include <fmt/format.h>

#include <algorithm>
#include <variant>
#include <vector>

#include "base/try.h"
#include "engine/session/digest.h"
#include "quant/tensor_type.h"

namespace puna::engine {
namespace {

constexpr std::string_view descriptive_prefix = "general.";

/// Adds values of any kind, each with its kind before it.
struct AddValue {
    Digest& digest;

    template <typename T>
        requires std::is_arithmetic_v<T>
    void operator()(T value) const {
        digest.add_number(value);
    }
    void operator()(const std::string& value) const { digest.add_text(value); }
    template <typename T>
    void operator()(const std::vector<T>& values) const {
        digest.add_number<std::uint64_t>(values.size());
        for (const T& value : values)
            (*this)(value);
    }
    void operator()(const std::vector<bool>& values) const {
        digest.add_number<std::uint64_t>(values.size());
        for (const bool value : values)
            digest.add_number(value);
    }
    template <typename... T>
    void operator()(const std::variant<T...>& value) const {
        digest.add_number<std::uint64_t>(value.index());
        std::visit(*this, value);
    }
};

std::uint64_t parameters_digest(const formats::ModelFile& file) {
    Digest digest;
    for (const auto& [key, value] : file.metadata.values) {
        if (key.starts_with(descriptive_prefix)) continue;
        digest.add_text(key);
        AddValue{digest}(value);
    }
    return digest.value();
}

std::uint64_t tokenizer_digest(const text::Vocabulary& vocabulary) {
    Digest digest;
    const AddValue add{digest};
    digest.add_text(vocabulary.family_name);
    digest.add_text(vocabulary.pre_tokenizer);
    add(vocabulary.tokens);
    add(vocabulary.scores);
    for (const text::TokenKind kind : vocabulary.kinds)
        digest.add_number(static_cast<std::uint8_t>(kind));
    add(vocabulary.merges);
    for (const text::TokenId id :
         {vocabulary.bos, vocabulary.eos, vocabulary.eot, vocabulary.eom, vocabulary.unk, vocabulary.pad})
        digest.add_number(id);
    for (const bool flag :
         {vocabulary.add_bos, vocabulary.add_eos, vocabulary.add_space_prefix, vocabulary.remove_extra_whitespaces})
        digest.add_number(flag);
    return digest.value();
}

void add_stretches(Digest& digest, std::span<const std::byte> data) {
    digest.add_number<std::uint64_t>(data.size());
    if (data.size() <= sampled_stretches * stretch_bytes) return digest.add(data);
    const std::uint64_t last = data.size() - stretch_bytes;
    for (std::uint64_t i = 0; i < sampled_stretches; ++i)
        digest.add(data.subspan(last / (sampled_stretches - 1) * i, stretch_bytes));
}

std::uint64_t tensors_digest(const formats::ModelFile& file) {
    Digest digest;
    for (const formats::FoundTensor& tensor : file.tensors) {
        digest.add_text(tensor.name);
        digest.add_text(quant::type_info(tensor.type).name);
        AddValue{digest}(tensor.shape);
        for (const formats::TensorPart& part : tensor.parts)
            add_stretches(digest, part.data);
    }
    return digest.value();
}

}  // namespace

Result<ModelFingerprint> fingerprint(const models::Model& model, const text::Vocabulary& vocabulary) {
    const models::Dimensions& dimensions = model.dimensions();
    const formats::ModelFile& file = model.file();
    ModelFingerprint print;
    print.architecture = file.architecture;
    print.shape = {dimensions.layers,   dimensions.embedding, dimensions.feed_forward, dimensions.heads,
                   dimensions.kv_heads, dimensions.head_dim,  dimensions.vocabulary};
    print.parameters = parameters_digest(file);
    print.tokenizer = tokenizer_digest(vocabulary);
    print.tensors = tensors_digest(file);
    PUNA_CHECK(file.check_mappings());
    return print;
}

std::string_view difference(const ModelFingerprint& a, const ModelFingerprint& b) {
    if (a.architecture != b.architecture) return "its architecture";
    if (a.shape != b.shape) return "its shapes";
    if (a.tokenizer != b.tokenizer) return "its tokenizer";
    if (a.parameters != b.parameters) return "its hyper-parameters";
    if (a.tensors != b.tensors) return "its weights";
    return {};
}

Result<void> require_same(const ModelFingerprint& stored, const ModelFingerprint& present) {
    const std::string_view part = difference(stored, present);
    if (part.empty()) return {};
    return Error{ErrorCode::session_mismatch,
                 fmt::format("the session belongs to another model, with a difference in {}", part),
                 "take the model file that the session was made with, or start a new session"};
}

}  // namespace puna::engine
