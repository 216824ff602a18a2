#include "formats/huggingface/tokenizer_structure.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "base/try.h"

namespace puna::formats::huggingface {
namespace {

using text::TokenizerFamily;

constexpr std::string_view space_symbol = "\xE2\x96\x81";  // U+2581

// The regular expressions that text/tokenizer's scanners stand for.
constexpr std::string_view gpt2_pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view llama3_pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view qwen2_pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

bool has_type(const Json& json, std::string_view type) {
    const auto found = json.find("type");
    return found && found->is_string(type);
}

/// A flag, or what it is where it is not written.
bool flag(const Json& json, std::string_view name, bool otherwise) {
    const auto found = json.find(name);
    return found && found->is(JsonKind::boolean) ? found->boolean() : otherwise;
}

/// Whether the member is absent, null, or an empty text.
bool is_nothing(const Json& json, std::string_view name) {
    const auto found = json.find(name);
    return !found || found->is_string("");
}

/// The parts of the Sequence that is the tokenizer's `name`, under `list`; a part that is no Sequence alone; none for
/// null. Errors: unsupported_tokenizer (a Sequence without its list).
Result<std::vector<Json>> parts_of(const Json& tokenizer, std::string_view name, std::string_view list) {
    std::vector<Json> parts;
    const auto part = tokenizer.find(name);
    if (!part) return parts;
    if (!has_type(*part, "Sequence")) return std::vector<Json>{*part};
    const auto listed = part->find(list);
    if (!listed || !listed->is(JsonKind::array)) return unknown_part(*part, name);
    for (Json element = listed->first(); element.exists(); element = element.next())
        parts.push_back(element);
    return parts;
}

Error unsupported(Error error) {
    error.code = ErrorCode::unsupported_tokenizer;
    error.hint =
        "take the model as a GGUF file, or a newer puna; known are byte-level BPE as in GPT-2, Llama 3, SmolLM "
        "and Qwen2, and SentencePiece BPE as in Llama 2";
    return error;
}

/// The error of a member that is not known: null and absence too, where there has to be one. `part`: what to call it.
Error unknown_member(const Json& object, std::string_view name, std::string_view part) {
    for (Json member = object.first(); member.exists(); member = member.next()) {
        if (member.key() == name) return unknown_part(member, part);
    }
    return unsupported(object.malformed(fmt::format("tokenizer's {}", part), "is missing"));
}

/// Splits at every match of a pattern, and keeps the matches. Nullopt if it is another kind of part.
std::optional<std::string_view> isolating_split(const Json& part) {
    if (!has_type(part, "Split")) return std::nullopt;
    const auto behavior = part.find("behavior");
    const bool invert = flag(part, "invert", false);
    const bool keeps = behavior && ((behavior->is_string("Isolated") && !invert) ||
                                    (behavior->is_string("Removed") && invert));  // what lies between is nothing
    const auto pattern = part.find("pattern");
    const auto regex = pattern ? pattern->find("Regex") : std::nullopt;
    if (!keeps || !regex || !regex->is(JsonKind::string)) return std::nullopt;
    return regex->string();
}

bool is_byte_level(const Json& part, bool with_regex) {
    return has_type(part, "ByteLevel") && !flag(part, "add_prefix_space", true) &&
           flag(part, "use_regex", true) == with_regex;
}

/// The name in GGUF; nullopt if it is not known.
std::optional<std::string> pre_tokenizer_name(const std::vector<Json>& parts, bool whole_tokens_first) {
    if (parts.size() == 1 && is_byte_level(parts[0], true) && !whole_tokens_first) return "gpt-2";
    if (parts.size() != 2) return std::nullopt;
    const bool single_digits = has_type(parts[0], "Digits") && flag(parts[0], "individual_digits", false);
    if (single_digits && is_byte_level(parts[1], true) && !whole_tokens_first) return "smollm";
    const auto pattern = isolating_split(parts[0]);
    if (!pattern || !is_byte_level(parts[1], false)) return std::nullopt;
    if (*pattern == llama3_pattern) return whole_tokens_first ? "llama-bpe" : "dbrx";
    if (*pattern == qwen2_pattern && !whole_tokens_first) return "qwen2";
    if (*pattern == gpt2_pattern && !whole_tokens_first) return "gpt-2";
    return std::nullopt;
}

/// Replaces the text `from`, and nothing else, by `to`.
bool is_replacement(const Json& part, std::string_view from, std::string_view to) {
    const auto pattern = part.find("pattern");
    const auto text = pattern ? pattern->find("String") : std::nullopt;
    const auto content = part.find("content");
    return has_type(part, "Replace") && text && text->is_string(from) && content && content->is_string(to);
}

class StructureReader {
  public:
    explicit StructureReader(const Json& root) : root_(root) {}

    Result<TokenizerStructure> read() {
        const auto model = root_.find("model");
        if (!model || !model->is(JsonKind::object)) return root_.malformed("tokenizer", "has no model");
        const auto type = model->find("type");  // early files leave it out
        const bool is_bpe = type ? type->is_string("BPE") : model->find("merges").has_value();
        if (!is_bpe) return unknown_member(*model, "type", "model's type");
        for (const std::string_view name : {"continuing_subword_prefix", "end_of_word_suffix"}) {
            if (!is_nothing(*model, name)) return unknown_member(*model, name, fmt::format("model's {}", name));
        }
        if (const auto unknown = model->find("unk_token"); unknown && unknown->is(JsonKind::string)) {
            structure_.unknown_token = unknown->string();
        }
        if (flag(*model, "byte_fallback", false)) {
            PUNA_CHECK(read_sentencepiece(*model));
        } else {
            PUNA_CHECK(read_byte_level(*model));
        }
        PUNA_CHECK(read_post_processor());
        return std::move(structure_);
    }

  private:
    Result<void> read_byte_level(const Json& model) {
        structure_.family = TokenizerFamily::byte_level_bpe;
        PUNA_TRY(const std::vector<Json> normalizers, parts_of(root_, "normalizer", "normalizers"));
        for (const Json& part : normalizers) {
            if (!has_type(part, "NFC")) return unknown_part(part, "normalizer");
            structure_.nfc = true;
        }
        PUNA_TRY(const std::vector<Json> parts, parts_of(root_, "pre_tokenizer", "pretokenizers"));
        const auto name = pre_tokenizer_name(parts, flag(model, "ignore_merges", false));
        if (!name) return unknown_member(root_, "pre_tokenizer", "pre_tokenizer");
        structure_.pre_tokenizer = *name;
        const auto decoder = root_.find("decoder");
        if (!decoder || !has_type(*decoder, "ByteLevel")) return unknown_member(root_, "decoder", "decoder");
        return {};
    }

    Result<void> read_sentencepiece(const Json& model) {
        structure_.family = TokenizerFamily::sentencepiece_bpe;
        if (flag(model, "ignore_merges", false)) return unknown_member(model, "ignore_merges", "model's ignore_merges");
        // Spaces become U+2581 by a normalizer, or by the pre-tokenizer Metaspace.
        const auto pre_tokenizer = root_.find("pre_tokenizer");
        PUNA_TRY(const std::vector<Json> parts, parts_of(root_, "normalizer", "normalizers"));
        const bool prepends = parts.size() == 2 && has_type(parts[0], "Prepend") && parts[0].find("prepend") &&
                              parts[0].find("prepend")->is_string(space_symbol);
        if (!parts.empty()) {
            if (!is_replacement(parts.back(), " ", space_symbol) || parts.size() != (prepends ? 2U : 1U)) {
                return unknown_member(root_, "normalizer", "normalizer");
            }
            if (pre_tokenizer) return unknown_part(*pre_tokenizer, "pre_tokenizer");
            structure_.add_space_prefix = prepends;
        } else {
            if (!pre_tokenizer) return unknown_member(root_, "pre_tokenizer", "pre_tokenizer");
            PUNA_CHECK(read_metaspace(*pre_tokenizer));
        }
        return check_sentencepiece_decoder();
    }

    Result<void> read_metaspace(const Json& part) {
        const auto replacement = part.find("replacement");
        const auto scheme = part.find("prepend_scheme");
        const bool known_scheme =
            !scheme || scheme->is_string("always") || scheme->is_string("first") || scheme->is_string("never");
        if (!has_type(part, "Metaspace") || !replacement || !replacement->is_string(space_symbol) || !known_scheme ||
            flag(part, "split", true)) {  // merges that may not cross a space are another tokenizer
            return unknown_part(part, "pre_tokenizer");
        }
        structure_.add_space_prefix = scheme ? !scheme->is_string("never") : flag(part, "add_prefix_space", true);
        return {};
    }

    Result<void> check_sentencepiece_decoder() const {
        PUNA_TRY(const std::vector<Json> parts, parts_of(root_, "decoder", "decoders"));
        const auto strips_first_space = [](const Json& part) {
            const auto content = part.find("content");
            const auto start = part.find("start");
            const auto stop = part.find("stop");
            return has_type(part, "Strip") && content && content->is_string(" ") && start &&
                   start->unsigned_integer() == 1U && stop && stop->unsigned_integer() == 0U;
        };
        const bool joins = parts.size() >= 3 && is_replacement(parts[0], space_symbol, " ") &&
                           has_type(parts[1], "ByteFallback") && has_type(parts[2], "Fuse");
        const bool ends = joins && (structure_.add_space_prefix ? parts.size() == 4 && strips_first_space(parts[3])
                                                                : parts.size() == 3);
        if (!ends) return unknown_member(root_, "decoder", "decoder");
        return {};
    }

    Result<void> read_post_processor() {
        PUNA_TRY(const std::vector<Json> parts, parts_of(root_, "post_processor", "processors"));
        for (const Json& part : parts) {
            if (has_type(part, "ByteLevel")) continue;  // it adjusts offsets alone
            const auto single = part.find("single");
            if (!has_type(part, "TemplateProcessing") || !single || !single->is(JsonKind::array)) {
                return unknown_part(part, "post_processor");
            }
            bool seen_text = false;
            for (Json piece = single->first(); piece.exists(); piece = piece.next()) {
                const auto special = piece.find("SpecialToken");
                const auto id = special ? special->find("id") : std::nullopt;
                if (piece.find("Sequence") && !seen_text) {
                    seen_text = true;
                } else if (id && id->is(JsonKind::string)) {
                    (seen_text ? structure_.after : structure_.before).emplace_back(id->string());
                } else {
                    return unknown_part(part, "post_processor");
                }
            }
        }
        if (structure_.before.size() > 1 || structure_.after.size() > 1) {
            return unknown_member(root_, "post_processor", "post_processor");
        }
        return {};
    }

    const Json& root_;
    TokenizerStructure structure_;
};

}  // namespace

Error unknown_part(const Json& json, std::string_view part) {
    return unsupported(json.malformed(fmt::format("tokenizer's {}", part),
                                      fmt::format("is not one that puna knows: {}", json.text())));
}

Result<TokenizerStructure> recognize_structure(const Json& tokenizer) {
    return StructureReader(tokenizer).read();
}

}  // namespace puna::formats::huggingface
