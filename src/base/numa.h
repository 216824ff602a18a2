// On which memory nodes of a machine threads and memory lie. Linux kernel documentation, "NUMA Memory Policy".
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "puna/error.h"

namespace puna::base {

struct NumaNode {
    std::uint32_t id;
    std::vector<std::uint32_t> cpus;  // empty where the system does not say
};

/// The nodes that are online, by id; node 0 alone where the system tells of none. `root` stands before every path that
/// is read, "" for the running system.
std::vector<NumaNode> numa_nodes(const std::string& root = "");

struct NumaPolicy {
    enum class Kind {
        system,      // as the system does it: pages lie near the thread that touches them first
        interleave,  // pages of all nodes in turn
        node,        // threads and pages on one node
    };
    Kind kind = Kind::system;
    std::uint32_t node = 0;  // of Kind::node
};

/// "" (the system's way), "interleave" or "node=N". Errors: invalid_argument; for a node that is not among `nodes` it
/// lists those that are.
Result<NumaPolicy> parse_numa_policy(std::string_view text, std::span<const NumaNode> nodes);

/// While it lives, what the thread that made it touches first lies as the policy says, and so does what threads touch
/// that it starts meanwhile; under Kind::node they run on that node's CPUs. To be destroyed by the same thread.
class NumaScope {
  public:
    /// `text`: as for parse_numa_policy. Errors: invalid_argument, also where the system refuses.
    static Result<NumaScope> enter(std::string_view text);
    NumaScope(NumaScope&&) noexcept;
    NumaScope& operator=(NumaScope&&) = delete;
    ~NumaScope();

    /// Whether there is anything for the policy to do.
    bool acts() const { return state_ != nullptr; }
    /// Moves those pages of `part`, whole pages of a mapping of this process, that lie on other nodes than the policy
    /// says, as far as the system moves them.
    void move(std::span<const std::byte> part) const;

  private:
    struct State;
    NumaScope();
    std::unique_ptr<State> state_;  // null: the system's way
};

}  // namespace puna::base
