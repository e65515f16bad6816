// What operations make of weights before they use them, kept while no weights change.
#pragma once

#include <cstdint>
#include <memory>

#include "../dispatch/settings.h"

namespace convkit::ops {

// Says that weights were changed, of whatever model. Whoever changes some says so afterwards.
void weights_changed();

// Of one call that is replayed with the same weights, by one thread at a time.
class KeptWeights {
 public:
  // What it is: the kernel times the scale of a batch normalisation behind it, with the shift; or
  // the weights at Winograd's points.
  enum Kind { kFolded, kTransformed };

  // To be called where a call begins: whether weights may be kept for so many outputs. What was
  // made before some weights changed, or for other kernels, is forgotten.
  bool begin(std::int64_t outputs);

  // Whether so many floats are kept, and not made anew each time, from memory that other arrays
  // have left in the caches.
  static bool is_worth_keeping(std::int64_t size);

  // The floats of that kind, which make(memory) writes where they are not there.
  template <class Make>
  const float* get(Kind kind, std::int64_t size, Make&& make) {
    Floats& kept = kept_[kind];
    if (kept.size != size) kept = allocate(size);
    if (!kept.is_made) make(kept.data.get());
    kept.is_made = true;
    return kept.data.get();
  }

 private:
  struct Free {
    void operator()(float* p) const;
  };
  struct Floats {
    std::unique_ptr<float[], Free> data;
    std::int64_t size = 0;
    bool is_made = false;
  };
  static Floats allocate(std::int64_t size);

  std::uint64_t version_ = 0;
  const KernelTable* kernels_ = nullptr;
  Floats kept_[2];
};

}  // namespace convkit::ops
