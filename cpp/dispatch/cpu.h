// The instruction sets compiled into this build and which of them this CPU has.
#pragma once

#include <string>
#include <vector>

#include "kernel_table.h"

namespace convkit {

// Names of the instruction sets this CPU can run, best first.
std::vector<std::string> available_isas();

// The active table; the best available until select_isa() names another.
const KernelTable& kernels();

// Throws std::invalid_argument, naming the available ones, when the name is not one of them.
void select_isa(const std::string& name);

// Whether memory that will be wanted soon should be asked for. Intel's cores foresee most of it by
// themselves, and wait for requests that come many at a time.
bool wants_prefetches();

}  // namespace convkit
