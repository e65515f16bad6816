// The instruction sets compiled into this build and which of them this CPU has.
#pragma once

#include <string>
#include <vector>

#include "settings.h"

namespace convkit {

// Names of the instruction sets this CPU can run, best first.
std::vector<std::string> available_isas();

// The kernels of that instruction set; throws std::invalid_argument, naming the available ones,
// when the name is not one of them.
const KernelTable* kernels_of(const std::string& isa);

// Whether memory that will be wanted soon should be asked for. Intel's cores foresee most of it by
// themselves, and wait for requests that come many at a time.
bool wants_prefetches();

}  // namespace convkit
