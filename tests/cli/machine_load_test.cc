// What /proc/stat says, as proc(5) describes it.
#include "cli/machine_load.h"

#include <gtest/gtest.h>

namespace puna::cli {
namespace {

TEST(MachineLoad, TicksOfAllCores) {
    // user nice system idle iowait irq softirq steal guest guest_nice
    const auto ticks = parse_cpu_ticks("cpu  10 20 30 400 50 6 7 8 9 1");
    ASSERT_TRUE(ticks);
    EXPECT_EQ(ticks->busy, 10U + 20 + 30 + 6 + 7 + 8);
    EXPECT_EQ(ticks->all, ticks->busy + 400 + 50);
}

TEST(MachineLoad, OtherLinesAreNone) {
    for (const char* line :
         {"", "cpu", "cpu ", "cpu0 1 2 3 4 5 6 7 8", "cpu  1 2 3", "cpu  1 2 x 4 5 6 7 8", "cpu  -1 2 3 4 5 6 7 8"}) {
        EXPECT_FALSE(parse_cpu_ticks(line)) << line;
    }
}

TEST(MachineLoad, NothingYetIsNoAnswer) {
    const MachineLoad load;
    const auto percent = load.others_percent();
    EXPECT_TRUE(!percent || (*percent >= 0 && *percent <= 100));
}

}  // namespace
}  // namespace puna::cli
