// Streams a completion: hello MODEL_FILE PROMPT
#include <iostream>

#include "puna/puna.h"

namespace {
int report(const puna::Error& error) {
    std::cerr << error.message << "\n" << error.hint << "\n";
    return 1;
}
}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::cerr << "usage: hello MODEL_FILE PROMPT\n";
        return 2;
    }
    const auto model = puna::Model::load(argv[1]);
    if (!model) return report(model.error());
    auto engine = puna::Engine::create(*model);
    if (!engine) return report(engine.error());

    puna::Request request;
    request.prompt = argv[2];
    request.max_tokens = 16;
    request.sampling.temperature = 0;
    auto stream = engine->submit(request);
    if (!stream) return report(stream.error());
    while (const auto event = stream->next()) {
        if (const auto* token = std::get_if<puna::Token>(&*event)) std::cout << token->text << std::flush;
        if (const auto* finished = std::get_if<puna::Finished>(&*event)) std::cout << finished->text << std::endl;
        if (const auto* error = std::get_if<puna::Error>(&*event)) return report(*error);
    }
}
