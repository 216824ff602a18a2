#include "base/log.h"

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <iterator>
#include <memory>
#include <string>

namespace puna::base {
namespace {

// Never destroyed, so that destructors of static objects may still log.
spdlog::logger& logger() {
    static auto* const instance = [] {
        auto* created = new spdlog::logger("puna", std::make_shared<spdlog::sinks::stderr_sink_mt>());
        created->set_pattern("puna: %l: %v");
        created->set_level(spdlog::level::warn);
        return created;
    }();
    return *instance;
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
    switch (level) {
        case LogLevel::debug: return spdlog::level::debug;
        case LogLevel::info: return spdlog::level::info;
        case LogLevel::warning: return spdlog::level::warn;
    }
    return spdlog::level::warn;
}

// Names from files end up in messages: a line break or a terminal's control sequence in one is shown, not obeyed.
std::string printable(std::string_view message) {
    std::string text;
    text.reserve(message.size());
    for (const char c : message) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7F) {
            fmt::format_to(std::back_inserter(text), "\\x{:02x}", byte);
        } else {
            text.push_back(c);
        }
    }
    return text;
}

}  // namespace

void set_log_level(LogLevel level) {
    logger().set_level(spdlog_level(level));
}

void log(LogLevel level, std::string_view message) {
    if (!logger().should_log(spdlog_level(level))) return;
    logger().log(spdlog_level(level), spdlog::string_view_t(printable(message)));
}

}  // namespace puna::base
