#include "cpu.h"

#include <stdexcept>

namespace convkit {
namespace {

struct Candidate {
  const char* name;
  bool (*supported)();
  const KernelTable* (*table)();
};

bool always() { return true; }

#if defined(CONVKIT_HAVE_X86)
bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("fma");
}
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif

// Best first.
constexpr Candidate kCandidates[] = {
#if defined(CONVKIT_HAVE_X86)
    {"avx512", has_avx512, avx512::kernel_table},  // Intel Skylake-X 2017, AMD Zen 4 2022
    {"avx2", has_avx2, avx2::kernel_table},        // Intel Haswell 2013, AMD Zen 2017
#elif defined(CONVKIT_HAVE_NEON)
    {"neon", always, neon::kernel_table},  // every AArch64
#endif
    {"baseline", always, baseline::kernel_table},
};

}  // namespace

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const Candidate& c : kCandidates)
    if (c.supported()) names.emplace_back(c.name);
  return names;
}

const KernelTable* kernels_of(const std::string& isa) {
  for (const Candidate& c : kCandidates)
    if (isa == c.name && c.supported()) return c.table();
  std::string known;
  for (const std::string& other : available_isas()) known += (known.empty() ? "" : ", ") + other;
  throw std::invalid_argument("instruction set '" + isa +
                              "' is not available on this CPU; use one of: " + known);
}

bool wants_prefetches() {
#if defined(CONVKIT_HAVE_X86)
  return !__builtin_cpu_is("intel");
#else
  return true;
#endif
}

}  // namespace convkit
