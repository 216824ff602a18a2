// Random text under JSON schemas: what comes is valid, as another program says.
#include "text/grammar/json_schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <variant>

#include "puna/engine.h"
#include "support/process.h"
#include "support/temp_file.h"
#include "support/tiny_model.h"
#include "text/grammar/matcher.h"

namespace puna {
namespace {

using Json = nlohmann::ordered_json;

struct Constrained {
    std::string text;
    std::string reason;  // of an error its message
};

Constrained run(Engine& engine, const std::string& schema, std::uint64_t seed, std::uint32_t most_tokens) {
    Request request;
    request.prompt = std::string("the");
    request.sampling.temperature = 1.5F;
    request.sampling.top_k = 0;
    request.sampling.top_p = 1;
    request.sampling.seed = seed;
    request.max_tokens = most_tokens;
    request.constraint = Constraint{Constraint::Kind::json_schema, schema};
    Constrained outcome;
    auto stream = engine.submit(std::move(request));
    if (!stream.ok()) return {"", stream.error().message};
    while (const auto event = stream->next()) {
        if (const auto* token = std::get_if<Token>(&*event)) outcome.text += token->text;
        if (const auto* error = std::get_if<Error>(&*event)) outcome.reason = error->message;
        if (const auto* finished = std::get_if<Finished>(&*event)) {
            outcome.text += finished->text;
            outcome.reason = finish_reason_name(finished->reason);
        }
    }
    return outcome;
}

class JsonSchemaText : public testing::Test {
  protected:
    void SetUp() override {
        const std::string path = folder_.write("tiny.gguf", support::tiny_model({.context = 8192}));
        auto model = Model::load(path);
        ASSERT_TRUE(model.ok());
        auto engine = Engine::create(*model, {.threads = 1});
        ASSERT_TRUE(engine.ok()) << engine.error().message;
        engine_ = std::make_unique<Engine>(std::move(engine).value());
        std::ifstream file(PUNA_TEST_DATA "/api/data/schemas.json");
        schemas_ = Json::parse(file);
        ASSERT_EQ(schemas_.size(), 200U);
    }

    support::TempFolder folder_;
    std::unique_ptr<Engine> engine_;
    Json schemas_;
};

TEST_F(JsonSchemaText, EndsByItselfAndIsValid) {
    Json checked = Json::array();
    for (std::size_t i = 0; i < schemas_.size(); ++i) {
        const Constrained outcome = run(*engine_, schemas_[i].dump(), i, 8000);
        ASSERT_EQ(outcome.reason, "stop") << schemas_[i].dump() << "\n" << outcome.text;
        checked.push_back({{"schema", schemas_[i]}, {"text", outcome.text}});
    }
    const std::string path = folder_.path("checked.json");
    std::ofstream(path) << checked.dump();
    support::Process python({"/usr/bin/python3", PUNA_TEST_DATA "/api/validate_json.py", path});
    EXPECT_EQ(python.finish(), 0) << python.err();
    EXPECT_EQ(python.out(), "200 texts checked\n");
}

TEST_F(JsonSchemaText, CutByLengthIsTheBeginningOfAValidText) {
    for (std::size_t i = 0; i < schemas_.size(); i += 4) {
        const Constrained outcome = run(*engine_, schemas_[i].dump(), i, 5);
        auto grammar = text::grammar::compile_json_schema(schemas_[i].dump());
        ASSERT_TRUE(grammar.ok()) << grammar.error().message;
        text::grammar::Matcher matcher(std::make_shared<const text::grammar::Grammar>(std::move(grammar).value()));
        std::string text = outcome.text;
        if (outcome.reason == "length" && text.ends_with("\xEF\xBF\xBD"))
            text.resize(text.size() - 3);  // half a character
        for (const char c : text)
            ASSERT_TRUE(matcher.advance(static_cast<std::uint8_t>(c))) << text << " under " << schemas_[i].dump();
    }
}

}  // namespace
}  // namespace puna
