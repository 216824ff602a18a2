#include "formats/huggingface/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/file_mapping.h"
#include "base/log.h"
#include "base/try.h"
#include "formats/huggingface/token_ids.h"
#include "formats/huggingface/tokenizer_json.h"
#include "formats/huggingface/tokenizer_structure.h"
#include "formats/malformed.h"
#include "formats/printable.h"
#include "formats/rank_list.h"
#include "formats/sentencepiece/model.h"

namespace puna::formats::huggingface {
namespace {

using text::TokenId;
using text::TokenizerFamily;
using text::TokenKind;
using text::Vocabulary;

class VocabularyReader {
  public:
    VocabularyReader(const SideFiles& files, const Metadata& config, std::string_view config_name,
                     const RankListModel* rank_list)
        : files_(files), config_(config), config_name_(config_name), rank_list_(rank_list) {}

    Result<Vocabulary> read() {
        PUNA_TRY(tokenizer_config_, files_.read_json("tokenizer_config.json"));
        PUNA_TRY(special_tokens_, files_.read_json("special_tokens_map.json"));
        PUNA_CHECK(read_tokens());
        if (!vocabulary_.tokens.empty()) {
            PUNA_CHECK(fit_to_embedding());
            PUNA_CHECK(read_special_ids());
            read_options();
        }
        PUNA_CHECK(read_chat_template());
        return std::move(vocabulary_);
    }

  private:
    // ---- Tokens ----

    Result<void> read_tokens() {
        PUNA_TRY(const auto tokenizer, files_.read_json("tokenizer.json"));
        if (!tokenizer) {
            if (!files_.exists("tokenizer.model")) return {};
            PUNA_TRY(const auto model, base::FileMapping::open(files_.path("tokenizer.model")));
            if (is_rank_list(model->bytes())) return check_known(read_ranks(*model));
            PUNA_CHECK(read_sentencepiece());
            PUNA_TRY(const auto added, read_listed_tokens());
            return check_known(add_tokens(added, files_.path("tokenizer.model"), vocabulary_));
        }
        const Json root = tokenizer->root();
        auto structure = recognize_structure(root);
        const bool sentencepiece = structure.ok() ? structure->family == TokenizerFamily::sentencepiece_bpe
                                                  : structure.error().code == ErrorCode::unsupported_tokenizer;
        // Where both are there, the model has the scores that the merges were made from.
        if (sentencepiece && is_sentencepiece_model()) {
            PUNA_CHECK(read_sentencepiece());
            auto added = read_added_tokens(root);
            if (!added.ok()) return check_known(std::move(added).error());
            if (structure.ok()) take_structure(*structure);
            return check_known(add_tokens(*added, files_.path("tokenizer.json"), vocabulary_));
        }
        if (!structure.ok()) return check_known(std::move(structure).error());
        auto read = read_tokenizer(root, *structure);
        if (!read.ok()) return check_known(std::move(read).error());
        vocabulary_ = std::move(read).value();
        vocabulary_.origin = printable_path(files_.path("tokenizer.json"));
        take_structure(*structure);
        return {};
    }

    /// A tokenizer that is not known is no reason not to show the model.
    Result<void> check_known(Result<void> result) {
        if (result.ok() || result.error().code != ErrorCode::unsupported_tokenizer) return result;
        vocabulary_ = {};
        vocabulary_.family = TokenizerFamily::other;
        vocabulary_.why_not = std::move(result).error();
        return {};
    }

    bool is_sentencepiece_model() const {
        constexpr std::byte first_field{0x0A};  // pieces; the text files of other tokenizers bear the same name
        const auto mapping = base::FileMapping::open(files_.path("tokenizer.model"));
        return mapping.ok() && !(*mapping)->bytes().empty() && (*mapping)->bytes().front() == first_field;
    }

    /// The tokens of a list of ranks, and the special ones that the model's own code adds.
    Result<void> read_ranks(const base::FileMapping& file) {
        if (rank_list_ == nullptr) {
            return Error{ErrorCode::unsupported_tokenizer,
                         fmt::format("{}: the tokenizer is a list of tokens and ranks, which says neither how text is "
                                     "cut nor which special tokens there are",
                                     printable_path(file.path())),
                         "put the tokenizer.json of the same model beside the weights"};
        }
        auto read = read_rank_list(file.bytes(), file.path());
        PUNA_CHECK(file.check());
        if (!read.ok()) return std::move(read).error();
        vocabulary_ = std::move(read).value();
        vocabulary_.origin = printable_path(file.path());
        vocabulary_.family = TokenizerFamily::byte_level_bpe;
        vocabulary_.family_name = "gpt2";
        vocabulary_.pre_tokenizer = rank_list_->pre_tokenizer;
        const std::size_t ranks = vocabulary_.tokens.size();
        const auto& special = rank_list_->special_tokens;
        vocabulary_.tokens.insert(vocabulary_.tokens.end(), special.begin(), special.end());
        vocabulary_.kinds.resize(vocabulary_.tokens.size(), TokenKind::control);
        const auto id_of = [&](const std::string& token) {
            const auto found = std::find(special.begin(), special.end(), token);
            return found == special.end() ? text::no_token : static_cast<TokenId>(ranks + (found - special.begin()));
        };
        vocabulary_.bos = id_of(rank_list_->bos);
        vocabulary_.eos = id_of(rank_list_->eos);
        vocabulary_.eot = id_of(rank_list_->eot);
        vocabulary_.eom = id_of(rank_list_->eom);
        vocabulary_.pad = id_of(rank_list_->pad);
        vocabulary_.add_bos = vocabulary_.bos != text::no_token;
        return check_special_rows(file.path(), ranks);
    }

    /// The ids of the special tokens follow from the length of the list: one that was cut off would move them.
    Result<void> check_special_rows(std::string_view path, std::size_t ranks) const {
        PUNA_TRY(const auto rows, model_rows());
        if (!rows || *rows == vocabulary_.tokens.size()) return {};
        return Error{
            ErrorCode::file_malformed,
            fmt::format("{}: the list has {} tokens, which with {} special ones are {}, but the model has rows "
                        "for {} (at byte 0)",
                        printable_path(path), ranks, rank_list_->special_tokens.size(), vocabulary_.tokens.size(),
                        *rows),
            "the list is cut off, or the tokenizer and the weights are not of the same model"};
    }

    Result<void> read_sentencepiece() {
        PUNA_TRY(const auto mapping, base::FileMapping::open(files_.path("tokenizer.model")));
        auto read = sentencepiece::read_model(mapping->bytes(), mapping->path());
        PUNA_CHECK(mapping->check());
        if (!read.ok()) return std::move(read).error();
        vocabulary_ = std::move(read).value();
        vocabulary_.origin = printable_path(mapping->path());
        return {};
    }

    /// Added tokens where there is no tokenizer.json: in added_tokens.json by text, in tokenizer_config.json by id.
    Result<std::vector<AddedToken>> read_listed_tokens() const {
        std::vector<AddedToken> added;
        PUNA_TRY(const auto by_text, files_.read_json("added_tokens.json"));
        if (by_text) {
            const Json root = by_text->root();
            for (Json entry = root.first(); entry.exists(); entry = entry.next()) {
                const auto id = entry.unsigned_integer();
                if (!id || *id >= max_tokens || entry.key().empty()) {
                    return entry.malformed(fmt::format("added token '{}'", printable(entry.key())), "has no id");
                }
                added.push_back({static_cast<TokenId>(*id), std::string(entry.key()), true, entry.offset()});
            }
        }
        const auto by_id = tokenizer_config_ ? tokenizer_config_->root().find("added_tokens_decoder") : std::nullopt;
        if (!by_id) return added;
        for (Json entry = by_id->first(); entry.exists(); entry = entry.next()) {
            const std::string field = fmt::format("added token {}", printable(entry.key()));
            const auto content = entry.find("content");
            const auto special = entry.find("special");
            std::uint64_t id = 0;
            const auto [end, error] = std::from_chars(entry.key().data(), entry.key().data() + entry.key().size(), id);
            const bool is_id = error == std::errc() && end == entry.key().data() + entry.key().size();
            if (!is_id || id >= max_tokens) return entry.malformed(field, "has no id for a name");
            if (!content || !content->is(JsonKind::string) || content->string().empty()) {
                return entry.malformed(field, "has no text 'content'");
            }
            std::erase_if(added, [&](const AddedToken& token) { return token.id == static_cast<TokenId>(id); });
            added.push_back({static_cast<TokenId>(id), std::string(content->string()),
                             special && special->is_boolean(true), entry.offset()});
        }
        return added;
    }

    void take_structure(const TokenizerStructure& structure) {
        before_ = structure.before;
        after_ = structure.after;
        structure_known_ = true;
    }

    Result<std::optional<std::uint64_t>> model_rows() const {
        return in_file(files_.path(config_name_), config_.unsigned_integer("vocab_size"));
    }

    /// As many tokens as the model has rows for. Rows without a token are common: they round the size up.
    Result<void> fit_to_embedding() {
        PUNA_TRY(const auto wanted, model_rows());
        const std::size_t size = vocabulary_.tokens.size();
        if (size == 0 || !wanted || *wanted == size) return {};
        const std::uint64_t rows = *wanted;
        if (rows == 0 || rows > std::min<std::uint64_t>(max_tokens, 2 * size + (1 << 16))) {
            return Error{
                ErrorCode::file_malformed,
                fmt::format("{}: {} is {}, but the tokenizer has {} tokens", printable_path(files_.path(config_name_)),
                            config_.describe("vocab_size"), rows, size),
                "the tokenizer and the weights are not of the same model"};
        }
        if (rows < size) {
            base::log(base::LogLevel::warning,
                      fmt::format("the model has no rows for the last {} of {} tokens: they are left out", size - rows,
                                  size));
        }
        vocabulary_.tokens.resize(rows);
        vocabulary_.kinds.resize(rows, TokenKind::unused);
        if (!vocabulary_.scores.empty()) vocabulary_.scores.resize(rows, 0.0F);
        for (std::size_t id = size; id < rows; ++id)
            vocabulary_.tokens[id] = fmt::format("[PAD{}]", id);
        return {};
    }

    // ---- Special tokens ----

    /// The text of a special token: {"bos_token": "<s>"} or {"bos_token": {"content": "<s>", ...}}.
    static std::string special_text(const std::optional<JsonDocument>& file, std::string_view name) {
        if (!file) return {};
        const auto found = file->root().find(name);
        const auto content = found && found->is(JsonKind::object) ? found->find("content") : found;
        return content && content->is(JsonKind::string) ? std::string(content->string()) : std::string();
    }

    /// The token that the tokenizer's files name, else the one that config.json does, else what the tokenizer itself
    /// said.
    Result<void> set_special(std::string_view name, TokenId& id) const {
        // An end that is no token would be a text without end.
        const MinusOne minus_one = name == "eos_token" ? MinusOne::is_wrong : MinusOne::is_none;
        auto ids = read_token_ids(config_, files_.path(config_name_), fmt::format("{}_id", name),
                                  vocabulary_.tokens.size(), minus_one);
        if (!ids.ok() && name == "pad_token") {
            // Real files name tokens for it that were never given a row. Nothing here is ever padded.
            base::log(base::LogLevel::warning,
                      fmt::format("{}; the model is taken as one without a token for padding", ids.error().message));
            ids = std::vector<TokenId>();
        }
        PUNA_CHECK(ids);
        for (const auto* file : {&tokenizer_config_, &special_tokens_}) {
            const std::string text = special_text(*file, name);
            const TokenId found = text.empty() ? text::no_token : find_id(vocabulary_, text);
            if (found != text::no_token) {
                id = found;
                return {};
            }
        }
        if (id == text::no_token && !ids->empty()) id = ids->front();
        return {};
    }

    Result<void> read_special_ids() {
        const auto drop_beyond = [&](TokenId& id) {
            if (id >= 0 && static_cast<std::size_t>(id) >= vocabulary_.tokens.size()) id = text::no_token;
        };
        for (TokenId* id : {&vocabulary_.bos, &vocabulary_.eos, &vocabulary_.unk, &vocabulary_.pad})
            drop_beyond(*id);
        PUNA_CHECK(set_special("bos_token", vocabulary_.bos));
        PUNA_CHECK(set_special("eos_token", vocabulary_.eos));
        PUNA_CHECK(set_special("unk_token", vocabulary_.unk));
        PUNA_CHECK(set_special("pad_token", vocabulary_.pad));
        if (structure_known_) {
            vocabulary_.add_bos = !before_.empty();
            vocabulary_.add_eos = !after_.empty();
            if (!before_.empty()) vocabulary_.bos = find_id(vocabulary_, before_.front());
            if (!after_.empty()) vocabulary_.eos = find_id(vocabulary_, after_.front());
        }
        return read_ends();
    }

    /// Several tokens may end a generation. GGUF has names for three.
    Result<void> read_ends() {
        constexpr std::string_view generation_name = "generation_config.json";
        Metadata generation;
        PUNA_TRY(const auto file, files_.read_json(generation_name));
        if (file) add_values(file->root(), "", generation);
        std::vector<TokenId> ends;
        const auto add = [&](const Metadata& metadata, std::string_view name) -> Result<void> {
            PUNA_TRY(const auto ids, read_token_ids(metadata, files_.path(name), "eos_token_id",
                                                    vocabulary_.tokens.size(), MinusOne::is_wrong));
            ends.insert(ends.end(), ids.begin(), ids.end());
            return {};
        };
        PUNA_CHECK(add(generation, generation_name));
        PUNA_CHECK(add(config_, config_name_));
        for (const TokenId id : ends) {
            const auto& more = vocabulary_.more_ends;
            if (vocabulary_.eos == text::no_token) vocabulary_.eos = id;
            if (id == vocabulary_.eos || id == vocabulary_.eot || id == vocabulary_.eom) continue;
            if (vocabulary_.eot == text::no_token) {
                vocabulary_.eot = id;
            } else if (vocabulary_.eom == text::no_token) {
                vocabulary_.eom = id;
            } else if (std::find(more.begin(), more.end(), id) == more.end()) {
                vocabulary_.more_ends.push_back(id);
            }
        }
        return {};
    }

    // ---- The rest ----

    void read_options() {
        const auto set = [&](std::string_view name, bool& to) {
            const auto found = tokenizer_config_ ? tokenizer_config_->root().find(name) : std::nullopt;
            if (found && found->is(JsonKind::boolean)) to = found->boolean();
        };
        set("add_bos_token", vocabulary_.add_bos);
        set("add_eos_token", vocabulary_.add_eos);
        if (!structure_known_ && vocabulary_.family == TokenizerFamily::sentencepiece_bpe) {
            set("add_prefix_space", vocabulary_.add_space_prefix);
        }
        vocabulary_.add_bos = vocabulary_.add_bos && vocabulary_.bos != text::no_token;
        vocabulary_.add_eos = vocabulary_.add_eos && vocabulary_.eos != text::no_token;
    }

    Result<void> read_chat_template() {
        PUNA_TRY(auto own_file, files_.read_text("chat_template.jinja"));
        if (own_file) {
            vocabulary_.chat_template = std::move(*own_file);
            return {};
        }
        PUNA_TRY(const auto processor, files_.read_json("chat_template.json"));
        for (const auto* file : {&std::as_const(tokenizer_config_), &processor}) {
            const auto found = *file ? (*file)->root().find("chat_template") : std::nullopt;
            if (!found) continue;
            if (found->is(JsonKind::string)) {
                vocabulary_.chat_template = found->string();
                return {};
            }
            // Several by name: [{"name": "default", "template": "..."}, ...].
            for (Json entry = found->first(); entry.exists(); entry = entry.next()) {
                const auto name = entry.find("name");
                const auto source = entry.find("template");
                if (!name || !name->is_string("default") || !source || !source->is(JsonKind::string)) continue;
                vocabulary_.chat_template = source->string();
                return {};
            }
        }
        return {};
    }

    const SideFiles& files_;
    const Metadata& config_;
    std::string_view config_name_;
    const RankListModel* rank_list_;
    std::optional<JsonDocument> tokenizer_config_;
    std::optional<JsonDocument> special_tokens_;
    std::vector<std::string> before_;
    std::vector<std::string> after_;
    bool structure_known_ = false;
    Vocabulary vocabulary_;
};

}  // namespace

Result<Vocabulary> read_vocabulary(const SideFiles& files, const Metadata& config, std::string_view config_name,
                                   const RankListModel* rank_list) {
    return VocabularyReader(files, config, config_name, rank_list).read();
}

}  // namespace puna::formats::huggingface
