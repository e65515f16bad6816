#include "kept_weights.h"

#include <atomic>
#include <cstdlib>
#include <new>

#include "../shapes.h"
#include "extent.h"
#include "parallel.h"

namespace convkit::ops {
namespace {

// With more outputs than this, what is made of the weights takes less than a hundredth of a call.
constexpr std::int64_t kMostOutputs = 8 * 1024;
// More floats would push what a pass needs next out of a shared cache.
constexpr std::int64_t kMostKept = 1024 * 1024;

// Counts the changes of weights in the process.
std::atomic<std::uint64_t> version{1};

}  // namespace

void weights_changed() { version.fetch_add(1, std::memory_order_release); }

bool KeptWeights::begin(std::int64_t outputs) {
  if (outputs > kMostOutputs) return false;
  // Before the weights are read: a change meanwhile counts as one behind it.
  const std::uint64_t now = version.load(std::memory_order_acquire);
  if (version_ != now || kernels_ != &kernels())
    for (Floats& kept : kept_) kept.is_made = false;
  version_ = now, kernels_ = &kernels();
  return true;
}

bool KeptWeights::is_worth_keeping(std::int64_t size) { return size <= kMostKept; }

void KeptWeights::Free::operator()(float* p) const { std::free(p); }

KeptWeights::Floats KeptWeights::allocate(std::int64_t size) {
  const std::int64_t bytes = product(round_up(size, kLine), sizeof(float));
  Floats floats;
  floats.data.reset(static_cast<float*>(std::aligned_alloc(kLine * sizeof(float), bytes)));
  if (!floats.data) throw std::bad_alloc();
  floats.size = size;
  return floats;
}

}  // namespace convkit::ops
