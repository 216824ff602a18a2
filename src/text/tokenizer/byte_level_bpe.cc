// Byte-level BPE: a pre-tokenizer cuts the text, and within each stretch bytes merge by rank. Vocabularies write bytes
// as printable characters. Where the vocabulary was trained so, the text is composed first. Radford et al. 2019,
// "Language Models are Unsupervised Multitask Learners", section 2.2.
#include <fmt/format.h>

#include <array>
#include <optional>
#include <utility>

#include "base/log.h"
#include "base/try.h"
#include "text/integer_map.h"
#include "text/tokenizer/bpe_merge.h"
#include "text/tokenizer/byte_characters.h"
#include "text/tokenizer/families.h"
#include "text/tokenizer/pre_tokenizer.h"
#include "text/tokenizer/token_ids.h"
#include "text/unicode/normalize.h"

namespace puna::text {
namespace {

class ByteLevelBpe final : public Tokenizer {
  public:
    ByteLevelBpe(std::shared_ptr<const Vocabulary> vocabulary, const PreTokenizer& pre_tokenizer)
        : Tokenizer(std::move(vocabulary), UserDefined::cut_text),
          pre_tokenizer_(pre_tokenizer),
          whole_tokens_(bytes_),
          merges_(vocabulary_.merges.size()) {
        byte_ids_.fill(no_token);
    }

    Result<void> prepare() {
        TokenIds written_ids(vocabulary_.tokens);  // all tokens, as written
        PUNA_CHECK(read_tokens(written_ids));
        return read_merges(written_ids);
    }

  protected:
    void encode_text(std::string_view text, bool /*at_start*/, std::vector<TokenId>& out) const override {
        std::string composed;
        if (vocabulary_.nfc && may_need_nfc(text)) {
            composed = to_nfc(text);
            text = composed;
        }
        std::vector<std::size_t> ends;
        pre_tokenizer_.split(text, ends);
        std::vector<Symbol> symbols;
        std::size_t left_out = 0;
        std::size_t begin = 0;
        for (const std::size_t end : ends) {
            left_out += encode_stretch(text.substr(begin, end - begin), symbols, out);
            begin = end;
        }
        if (left_out == 0) return;
        base::log(base::LogLevel::warning,
                  fmt::format("left out {} bytes of the text that the vocabulary has no token for", left_out));
    }

    std::string normal_token_bytes(TokenId id) const override { return bytes_[static_cast<std::size_t>(id)]; }

  private:
    Result<void> read_tokens(TokenIds& written_ids) {
        written_ids.allocate();
        bytes_.resize(size());
        for (std::size_t i = 0; i < size(); ++i) {
            const auto id = static_cast<TokenId>(i);
            const std::string& token = vocabulary_.tokens[i];
            if (kind(id) != TokenKind::normal) {  // added tokens are written as they are
                written_ids.insert(id);
                bytes_[i] = token;
                continue;
            }
            const TokenId other = std::exchange(written_ids.insert(id), id);  // before an added token of the same text
            if (other != id && kind(other) == TokenKind::normal && !token.empty()) {
                return malformed_vocabulary(fmt::format("tokens {} and {} are both {}", other, id, quoted(token)));
            }
            const std::optional<std::string> bytes = written_bytes(token);
            bytes_[i] = bytes.value_or(token);
            if (bytes && bytes->size() == 1) byte_ids_[static_cast<unsigned char>(bytes->front())] = id;
        }
        if (!pre_tokenizer_.whole_tokens_first) return {};
        whole_tokens_.allocate();
        for (std::size_t i = 0; i < size(); ++i) {
            const auto id = static_cast<TokenId>(i);
            if (kind(id) == TokenKind::normal) whole_tokens_.insert(id);
        }
        return {};
    }

    Result<void> read_merges(const TokenIds& written_ids) {
        std::string both;
        for (std::size_t rank = 0; rank < vocabulary_.merges.size(); ++rank) {
            const std::string_view merge = vocabulary_.merges[rank];
            const std::size_t space = merge.find(' ', 1);
            if (space == std::string_view::npos || space + 1 == merge.size()) {
                return malformed_vocabulary(
                    fmt::format("merge {} is {}, which does not name two tokens", rank, quoted(merge)));
            }
            const std::string_view left = merge.substr(0, space);
            const std::string_view right = merge.substr(space + 1);
            both.assign(left).append(right);
            const std::array<std::string_view, 3> texts = {left, right, both};
            std::array<TokenId, 3> ids{};
            for (std::size_t i = 0; i < texts.size(); ++i) {
                ids[i] = written_ids.find(texts[i]);
                if (ids[i] != no_token) continue;
                return malformed_vocabulary(
                    fmt::format("merge {} needs {}, which is no token", rank, quoted(texts[i])));
            }
            if (is_special(ids[2])) continue;  // text never yields a control token
            merges_.insert(pair(ids[0], ids[1]), std::uint64_t{rank} << 32 | static_cast<std::uint32_t>(ids[2]));
        }
        return {};
    }

    /// Appends the ids of one stretch of the pre-tokenizer; returns how many bytes have no token.
    std::size_t encode_stretch(std::string_view text, std::vector<Symbol>& symbols, std::vector<TokenId>& out) const {
        if (pre_tokenizer_.whole_tokens_first) {
            if (const TokenId id = whole_tokens_.find(text); id != no_token) {
                out.push_back(id);
                return 0;
            }
        }
        symbols.clear();
        for (std::uint32_t i = 0; i < text.size(); ++i) {
            const TokenId id = byte_ids_[static_cast<unsigned char>(text[i])];
            if (id != no_token) append_symbol(symbols, {.begin = i, .length = 1, .id = id});
        }
        const std::size_t left_out = text.size() - symbols.size();
        merge_symbols(symbols, [this](const Symbol& left, const Symbol& right) -> Merge {
            const std::uint64_t* found = merges_.find(pair(left.id, right.id));
            if (found == nullptr) return {};
            return {static_cast<std::uint32_t>(*found >> 32), static_cast<TokenId>(*found & 0xFFFFFFFFu)};
        });
        for (const Symbol& symbol : symbols) {
            if (symbol.length != 0) out.push_back(symbol.id);
        }
        return left_out;
    }

    static std::uint64_t pair(TokenId left, TokenId right) {
        return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
    }

    const PreTokenizer& pre_tokenizer_;
    std::vector<std::string> bytes_;  // by id
    std::array<TokenId, 256> byte_ids_;
    TokenIds whole_tokens_;  // by bytes; filled if the pre-tokenizer asks for it
    IntegerMap merges_;      // pair of ids: rank in the upper half, the merged id in the lower
};

}  // namespace

Result<std::shared_ptr<const Tokenizer>> make_byte_level_bpe(std::shared_ptr<const Vocabulary> vocabulary) {
    const PreTokenizer* pre_tokenizer = find_pre_tokenizer(vocabulary->pre_tokenizer);
    if (pre_tokenizer == nullptr) {
        return Error{ErrorCode::unsupported_tokenizer,
                     fmt::format("the pre-tokenizer {} is not known", quoted(vocabulary->pre_tokenizer)),
                     "known are " + known_pre_tokenizers()};
    }
    auto tokenizer = std::make_shared<ByteLevelBpe>(std::move(vocabulary), *pre_tokenizer);
    PUNA_CHECK(tokenizer->prepare());
    return std::shared_ptr<const Tokenizer>(std::move(tokenizer));
}

}  // namespace puna::text
