#include "formats/sentencepiece/model.h"

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <utility>

#include "base/try.h"
#include "formats/printable.h"
#include "formats/sentencepiece/protobuf.h"

// The numbers of fields are those of sentencepiece_model.proto in the SentencePiece project.
namespace puna::formats::sentencepiece {
namespace {

using text::TokenId;
using text::TokenizerFamily;
using text::TokenKind;
using text::Vocabulary;

// puna's own, far above what real models hold.
constexpr std::size_t max_pieces = std::size_t{1} << 22;
constexpr std::size_t max_piece_bytes = std::size_t{1} << 16;

enum class ModelType : std::uint64_t { unigram = 1, bpe = 2, word = 3, character = 4 };

struct Trainer {
    std::uint64_t model_type = static_cast<std::uint64_t>(ModelType::unigram);
    bool whitespace_as_suffix = false;
    std::int64_t unk = 0;
    std::int64_t bos = 1;
    std::int64_t eos = 2;
    std::int64_t pad = -1;
};

struct Normalizer {
    std::string name;
    bool has_character_map = false;
    bool add_dummy_prefix = true;
    bool remove_extra_whitespaces = true;
    bool escape_whitespaces = true;
};

/// An int32, which a negative number fills with ten bytes.
std::int64_t as_id(std::uint64_t value) {
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(value));
}

class ModelReader {
  public:
    ModelReader(std::span<const std::byte> bytes, std::string_view path) : root_(bytes, path, "model") {}

    Result<Vocabulary> read() {
        while (true) {
            PUNA_TRY(const auto field, root_.next());
            if (!field) break;
            switch (field->number) {
                case 1: PUNA_CHECK(read_piece(*field)); break;
                case 2: PUNA_CHECK(read_trainer(*field)); break;
                case 3: PUNA_CHECK(read_normalizer(*field)); break;
                default: break;
            }
        }
        if (vocabulary_.tokens.empty()) return root_.malformed("pieces", "are missing", 0);
        vocabulary_.family = TokenizerFamily::sentencepiece_bpe;
        vocabulary_.family_name = "llama";
        vocabulary_.add_space_prefix = normalizer_.add_dummy_prefix;
        vocabulary_.remove_extra_whitespaces = normalizer_.remove_extra_whitespaces;
        PUNA_CHECK(set_id("unk_id", trainer_.unk, vocabulary_.unk));
        PUNA_CHECK(set_id("bos_id", trainer_.bos, vocabulary_.bos));
        PUNA_CHECK(set_id("eos_id", trainer_.eos, vocabulary_.eos));
        PUNA_CHECK(set_id("pad_id", trainer_.pad, vocabulary_.pad));
        vocabulary_.add_bos = vocabulary_.bos != text::no_token;
        refuse_what_is_not_known();
        return std::move(vocabulary_);
    }

  private:
    Result<void> read_piece(const ProtobufField& of) {
        if (vocabulary_.tokens.size() == max_pieces) {
            return root_.malformed("pieces", fmt::format("are more than {}", max_pieces), of.offset);
        }
        const std::string what = fmt::format("piece {}", vocabulary_.tokens.size());
        PUNA_TRY(ProtobufReader reader, root_.message(of, what));
        std::string piece;
        float score = 0;
        std::uint64_t kind = static_cast<std::uint64_t>(TokenKind::normal);
        while (true) {
            PUNA_TRY(const auto field, reader.next());
            if (!field) break;
            switch (field->number) {
                case 1: {
                    PUNA_TRY(piece, reader.text(*field, "piece"));
                    break;
                }
                case 2: {
                    PUNA_TRY(score, reader.float32(*field, "score"));
                    break;
                }
                case 3: {
                    PUNA_TRY(kind, reader.varint(*field, "type"));
                    break;
                }
                default: break;
            }
        }
        if (piece.empty()) return reader.malformed("piece", "is empty", of.offset);
        if (piece.size() > max_piece_bytes) {
            return reader.malformed(
                "piece", fmt::format("has {} bytes; at most {} are allowed", piece.size(), max_piece_bytes), of.offset);
        }
        if (!std::isfinite(score)) return reader.malformed("score", "is not a finite number", of.offset);
        if (kind < static_cast<std::uint64_t>(TokenKind::normal) ||
            kind > static_cast<std::uint64_t>(TokenKind::byte)) {
            return reader.malformed("type", fmt::format("is {}; types are 1 to 6", kind), of.offset);
        }
        vocabulary_.tokens.push_back(std::move(piece));
        vocabulary_.scores.push_back(score);
        vocabulary_.kinds.push_back(static_cast<TokenKind>(kind));
        return {};
    }

    Result<void> read_trainer(const ProtobufField& of) {
        PUNA_TRY(ProtobufReader reader, root_.message(of, "trainer_spec"));
        const auto id = [&](const ProtobufField& field, std::string_view name, std::int64_t& to) -> Result<void> {
            PUNA_TRY(const std::uint64_t value, reader.varint(field, name));
            to = as_id(value);
            return {};
        };
        while (true) {
            PUNA_TRY(const auto field, reader.next());
            if (!field) return {};
            switch (field->number) {
                case 3: {
                    PUNA_TRY(trainer_.model_type, reader.varint(*field, "model_type"));
                    break;
                }
                case 24: {
                    PUNA_TRY(const auto suffix, reader.varint(*field, "treat_whitespace_as_suffix"));
                    trainer_.whitespace_as_suffix = suffix != 0;
                    break;
                }
                case 40: PUNA_CHECK(id(*field, "unk_id", trainer_.unk)); break;
                case 41: PUNA_CHECK(id(*field, "bos_id", trainer_.bos)); break;
                case 42: PUNA_CHECK(id(*field, "eos_id", trainer_.eos)); break;
                case 43: PUNA_CHECK(id(*field, "pad_id", trainer_.pad)); break;
                default: break;
            }
        }
    }

    Result<void> read_normalizer(const ProtobufField& of) {
        PUNA_TRY(ProtobufReader reader, root_.message(of, "normalizer_spec"));
        const auto flag = [&](const ProtobufField& field, std::string_view name, bool& to) -> Result<void> {
            PUNA_TRY(const std::uint64_t value, reader.varint(field, name));
            to = value != 0;
            return {};
        };
        while (true) {
            PUNA_TRY(const auto field, reader.next());
            if (!field) return {};
            switch (field->number) {
                case 1: {
                    PUNA_TRY(normalizer_.name, reader.text(*field, "name"));
                    break;
                }
                case 2: normalizer_.has_character_map = !field->bytes.empty(); break;
                case 3: PUNA_CHECK(flag(*field, "add_dummy_prefix", normalizer_.add_dummy_prefix)); break;
                case 4:
                    PUNA_CHECK(flag(*field, "remove_extra_whitespaces", normalizer_.remove_extra_whitespaces));
                    break;
                case 5: PUNA_CHECK(flag(*field, "escape_whitespaces", normalizer_.escape_whitespaces)); break;
                default: break;
            }
        }
    }

    Result<void> set_id(std::string_view name, std::int64_t value, TokenId& id) const {
        if (value < 0) return {};
        if (static_cast<std::uint64_t>(value) >= vocabulary_.tokens.size()) {
            return root_.malformed(fmt::format("trainer_spec, {}", name),
                                   fmt::format("is {}, but there are {} pieces", value, vocabulary_.tokens.size()), 0);
        }
        id = static_cast<TokenId>(value);
        return {};
    }

    void refuse_what_is_not_known() {
        std::string what;
        switch (static_cast<ModelType>(trainer_.model_type)) {
            case ModelType::bpe: break;
            case ModelType::unigram: what = "is a unigram model"; break;
            case ModelType::word: what = "is a model of words"; break;
            case ModelType::character: what = "is a model of characters"; break;
            default: what = fmt::format("has the model type {}", trainer_.model_type); break;
        }
        if (what.empty() && normalizer_.has_character_map) {
            what = fmt::format("normalizes text by the rules '{}'", printable(normalizer_.name));
        }
        if (what.empty() && trainer_.whitespace_as_suffix) what = "writes spaces behind words";
        if (what.empty() && !normalizer_.escape_whitespaces) what = "does not escape spaces";
        if (what.empty()) return;
        vocabulary_.family = TokenizerFamily::other;
        vocabulary_.why_not = Error{ErrorCode::unsupported_tokenizer,
                                    fmt::format("the SentencePiece model {}, which puna does not know", what),
                                    "known are BPE models without a normalizer's rules, as LLaMA 1 and 2 have them"};
    }

    ProtobufReader root_;
    Vocabulary vocabulary_;
    Trainer trainer_;
    Normalizer normalizer_;
};

}  // namespace

Result<Vocabulary> read_model(std::span<const std::byte> bytes, std::string_view path) {
    return ModelReader(bytes, path).read();
}

}  // namespace puna::formats::sentencepiece
