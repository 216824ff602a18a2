#include "base/log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

namespace puna::base {
namespace {

class Log : public testing::Test {
  protected:
    ~Log() override { set_log_level(LogLevel::warning); }
};

template <typename Body>
std::string talk(Body body) {
    testing::internal::CaptureStderr();
    body();
    return testing::internal::GetCapturedStderr();
}

TEST_F(Log, IsQuietUnlessAsked) {
    EXPECT_EQ(talk([] {
                  log(LogLevel::debug, "a");
                  log(LogLevel::info, "b");
                  log(LogLevel::warning, "the file has no end token");
              }),
              "puna: warning: the file has no end token\n");
    set_log_level(LogLevel::debug);
    EXPECT_EQ(talk([] {
                  log(LogLevel::debug, "a");
                  log(LogLevel::info, "b");
              }),
              "puna: debug: a\npuna: info: b\n");
}

TEST_F(Log, StdoutIsForTheAnswer) {
    testing::internal::CaptureStdout();
    talk([] { log(LogLevel::warning, "talk"); });
    EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
}

TEST_F(Log, AMessageIsOneLineAndNoFormat) {
    EXPECT_EQ(talk([] { log(LogLevel::warning, "100 % of {} in \"a\nb\x1b[31m\", caf\xc3\xa9"); }),
              "puna: warning: 100 % of {} in \"a\\x0ab\\x1b[31m\", caf\xc3\xa9\n");
}

TEST_F(Log, LinesOfThreadsDoNotMix) {
    const std::string line(200, 'x');
    const std::string text = talk([&line] {
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&line] {
                for (int i = 0; i < 50; ++i)
                    log(LogLevel::warning, line);
            });
        }
        for (std::thread& thread : threads)
            thread.join();
    });
    const std::string expected = "puna: warning: " + line + "\n";
    ASSERT_EQ(text.size(), 200 * expected.size());
    for (std::size_t i = 0; i < 200; ++i)
        EXPECT_EQ(text.substr(i * expected.size(), expected.size()), expected);
}

}  // namespace
}  // namespace puna::base
