// Models on file for tests of the command line, and a look at what it printed.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "quant/tensor_type.h"
#include "support/process.h"
#include "support/temp_file.h"
#include "support/tiny_model.h"

namespace puna::cli {

using Json = nlohmann::json;

/// The program under test, before its arguments.
inline std::vector<std::string> puna_command(const std::vector<std::string>& arguments) {
    std::vector<std::string> command = {PUNA_BINARY_DIR "/puna"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return command;
}

struct Outcome {
    int exit_code;
    std::string out;
    std::string err;
};

/// Runs it from start to end.
inline Outcome run_puna(const std::vector<std::string>& arguments, const support::ProcessOptions& options = {}) {
    support::Process process(puna_command(arguments), options);
    const int exit_code = process.finish();
    return {exit_code, process.out(), process.err()};
}

/// A tiny model of random weights (context 256, a begin token, byte tokens), and the demo model.
class CommandLine : public testing::Test {
  protected:
    const std::string& tiny() {
        if (tiny_path_.empty()) {
            tiny_path_ = folder_.write("tiny.gguf", support::tiny_model({.matrix_type = quant::find_type("Q4_0")}));
        }
        return tiny_path_;
    }
    static std::string demo() { return PUNA_DEMO_MODEL; }

    /// Runs with --json, which must end well: the object on stdout, a single line.
    static Json json_of(std::vector<std::string> arguments, const support::ProcessOptions& options = {}) {
        arguments.emplace_back("--json");
        const Outcome outcome = run_puna(arguments, options);
        EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
        return single_line(outcome.out);
    }

    static Json single_line(const std::string& out) {
        EXPECT_EQ(out.find('\n'), out.size() - 1) << out;
        Json json = Json::parse(out, nullptr, /*allow_exceptions=*/false);
        EXPECT_TRUE(json.is_object()) << out;
        return json;
    }

    /// The error of a run with --json that must fail with `exit_code`: the last line of stderr. stdout must be empty.
    static Json error_of(std::vector<std::string> arguments, int exit_code,
                         const support::ProcessOptions& options = {}) {
        arguments.emplace_back("--json");
        const Outcome outcome = run_puna(arguments, options);
        EXPECT_EQ(outcome.exit_code, exit_code) << outcome.err;
        EXPECT_EQ(outcome.out, "");
        return last_error(outcome.err);
    }

    static Json last_error(const std::string& err) {
        EXPECT_TRUE(err.ends_with('\n')) << err;
        const std::size_t begin = err.size() < 2 ? 0 : err.rfind('\n', err.size() - 2) + 1;
        Json json = Json::parse(err.substr(begin), nullptr, /*allow_exceptions=*/false);
        EXPECT_TRUE(json.is_object() && json.contains("error")) << err;
        if (!json.is_object() || !json.contains("error")) return Json::object();
        const Json& error = json["error"];
        EXPECT_EQ(json.size(), 1U);
        EXPECT_TRUE(error.contains("code") && error.contains("message") && error.contains("hint")) << err;
        return error;
    }

    support::TempFolder folder_;

  private:
    std::string tiny_path_;
};

}  // namespace puna::cli
