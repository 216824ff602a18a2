// Brings mapped files into memory before they are asked for.
#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "base/file_mapping.h"

namespace puna::base {

/// A thread that walks through the mappings' pages, in order, while others work already. An aid: whether it runs, and
/// how far it comes, changes nothing but time. Destroying it ends the thread, within about the time that a few
/// megabytes take.
class Prefault {
  public:
    /// Does nothing for files that do not fit into the available memory.
    explicit Prefault(std::vector<std::shared_ptr<const FileMapping>> mappings);

  private:
    std::jthread thread_;
};

}  // namespace puna::base
