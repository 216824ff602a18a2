#include "base/numa.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <optional>
#include <system_error>

#include "base/cpu.h"
#include "base/number.h"
#include "base/text_file.h"
#include "base/try.h"

namespace puna::base {
namespace {

// <linux/mempolicy.h>, which is not everywhere where the kernel is.
constexpr int mpol_bind = 2;
constexpr int mpol_interleave = 3;
constexpr unsigned mpol_mf_move = 2;

constexpr std::uint32_t most_nodes = 1024;
constexpr std::size_t word_bits = 8 * sizeof(unsigned long);
// The kernel takes one bit less than it is told.
constexpr unsigned long mask_bits = most_nodes + 1;

struct ThreadPolicy {
    int mode = 0;
    std::array<unsigned long, most_nodes / word_bits + 1> nodes{};
};

/// The numbers of a list as sysfs writes it: "0-3,8".
std::vector<std::uint32_t> number_list(std::string_view text, std::uint32_t limit) {
    std::vector<std::uint32_t> numbers;
    text = text.substr(0, text.find('\n'));
    while (!text.empty()) {
        const std::string_view range = text.substr(0, text.find(','));
        text.remove_prefix(std::min(range.size() + 1, text.size()));
        const std::size_t dash = range.find('-');
        const auto first = parse_number<std::uint32_t>(range.substr(0, dash), "", 0, limit - 1);
        const auto last = dash == std::string_view::npos
                              ? first
                              : parse_number<std::uint32_t>(range.substr(dash + 1), "", 0, limit - 1);
        if (!first.ok() || !last.ok()) return {};
        for (std::uint32_t number = *first; number <= *last; ++number)
            numbers.push_back(number);
    }
    return numbers;
}

std::string node_words(std::span<const NumaNode> nodes) {
    std::vector<std::uint32_t> ids;
    for (const NumaNode& node : nodes)
        ids.push_back(node.id);
    return fmt::format("{} {}", ids.size() == 1 ? "node" : "nodes", fmt::join(ids, ", "));
}

Error refused(std::string_view what, int number) {
    return {ErrorCode::invalid_argument,
            fmt::format("the system refuses {}: {}", what, std::generic_category().message(number)),
            "containers often forbid it: start the program under numactl outside, or leave the NUMA policy out"};
}

}  // namespace

std::vector<NumaNode> numa_nodes(const std::string& root) {
    const std::string folder = root + "/sys/devices/system/node/";
    constexpr std::uint32_t most_cpus = 1U << 20;
    std::vector<NumaNode> nodes;
    if (const auto online = read_text_file(folder + "online"); online.ok()) {
        for (const std::uint32_t id : number_list(*online, most_nodes)) {
            const auto cpus = read_text_file(fmt::format("{}node{}/cpulist", folder, id));
            nodes.push_back({id, cpus.ok() ? number_list(*cpus, most_cpus) : std::vector<std::uint32_t>{}});
        }
    }
    if (nodes.empty()) nodes.push_back({0, {}});
    return nodes;
}

Result<NumaPolicy> parse_numa_policy(std::string_view text, std::span<const NumaNode> nodes) {
    if (text.empty()) return NumaPolicy{};
    if (text == "interleave") return NumaPolicy{NumaPolicy::Kind::interleave};
    constexpr std::string_view prefix = "node=";
    if (!text.starts_with(prefix)) {
        return Error{ErrorCode::invalid_argument, fmt::format("'{}' is no NUMA policy", text),
                     "interleave spreads memory over all nodes, node=N keeps it on one"};
    }
    const auto id = parse_number<std::uint32_t>(text.substr(prefix.size()), "");
    if (id.ok()) {
        for (const NumaNode& node : nodes) {
            if (node.id == *id) return NumaPolicy{NumaPolicy::Kind::node, *id};
        }
    }
    return Error{ErrorCode::invalid_argument,
                 fmt::format("there is no NUMA node '{}' on this machine", text.substr(prefix.size())),
                 fmt::format("it has {}", node_words(nodes))};
}

struct NumaScope::State {
    ThreadPolicy wanted;
    ThreadPolicy before;
    bool changed_memory = false;
    std::optional<CpuScope> cpus;

    Result<void> apply(const NumaPolicy& policy, std::span<const NumaNode> nodes);
    Result<void> stay_on(const NumaNode& node);
    ~State() {
        if (changed_memory) syscall(SYS_set_mempolicy, before.mode, before.nodes.data(), mask_bits);
    }
};

/// Runs this thread on those of its CPUs that are the node's.
Result<void> NumaScope::State::stay_on(const NumaNode& node) {
    if (node.cpus.empty()) return {};
    const std::vector<std::uint32_t> allowed = allowed_cpus();
    std::vector<std::uint32_t> both;
    std::set_intersection(allowed.begin(), allowed.end(), node.cpus.begin(), node.cpus.end(), std::back_inserter(both));
    if (both.empty()) {
        return Error{ErrorCode::invalid_argument,
                     fmt::format("this process may use none of the CPUs of NUMA node {}", node.id),
                     "choose another node, or widen the process's CPU affinity"};
    }
    if (both == allowed) return {};
    cpus.emplace(both);
    return {};
}

Result<void> NumaScope::State::apply(const NumaPolicy& policy, std::span<const NumaNode> nodes) {
    const bool one = policy.kind == NumaPolicy::Kind::node;
    wanted.mode = one ? mpol_bind : mpol_interleave;
    for (const NumaNode& node : nodes) {
        if (one && node.id != policy.node) continue;
        wanted.nodes[node.id / word_bits] |= 1UL << node.id % word_bits;
        if (one) PUNA_CHECK(stay_on(node));
    }
    if (syscall(SYS_get_mempolicy, &before.mode, before.nodes.data(), mask_bits, nullptr, 0) == 0 &&
        syscall(SYS_set_mempolicy, wanted.mode, wanted.nodes.data(), mask_bits) == 0) {
        changed_memory = true;
    } else if (nodes.size() > 1) {  // with one node there is nothing to choose, nor in a kernel that knows of none
        return refused("a NUMA policy", errno);
    }
    return {};
}

NumaScope::NumaScope() = default;
NumaScope::NumaScope(NumaScope&&) noexcept = default;

NumaScope::~NumaScope() = default;

Result<NumaScope> NumaScope::enter(std::string_view text) {
    NumaScope scope;
    if (text.empty()) return scope;
    const std::vector<NumaNode> nodes = numa_nodes();
    PUNA_TRY(const NumaPolicy policy, parse_numa_policy(text, nodes));
    auto state = std::make_unique<State>();
    PUNA_CHECK(state->apply(policy, nodes));
    scope.state_ = std::move(state);
    return scope;
}

void NumaScope::move(std::span<const std::byte> part) const {
    if (!state_ || !state_->changed_memory || part.empty()) return;
    syscall(SYS_mbind, part.data(), part.size(), state_->wanted.mode, state_->wanted.nodes.data(), mask_bits,
            mpol_mf_move);
}

}  // namespace puna::base
