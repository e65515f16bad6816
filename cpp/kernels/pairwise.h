// Long sums: the sums of blocks are added up in pairs, pairs of pairs and so on, as a binary
// counter carries. With blocks of b terms the error of a sum of n is at most (b + log2(n / b)) eps
// / 2 times the sum of the terms' magnitudes, where one chain of additions would have n eps / 2
// (Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 4.2). Infinities and NaN
// stay what they are.
#pragma once

#include "gemm.h"

CONVKIT_BEGIN_KERNELS

// `size` sums side by side: whole vectors, at most so many floats.
template <int Most>
class PairwiseSums {
 public:
  explicit PairwiseSums(std::int64_t size) : size_(size) {}

  // A block's sums: `size` of them. Or those of 2^first blocks, if as many or a multiple came
  // before.
  void add_block(const float* block, int first = 0) {
    const std::uint64_t before = blocks_;
    blocks_ += std::uint64_t{1} << first;
    for (std::int64_t i = 0; i < size_; i += kLanes) {
      F32 sum = load(block + i);
      int level = first;
      for (; before >> level & 1; ++level) sum = add(load(levels_[level] + i), sum);
      store(levels_[level] + i, sum);
    }
  }

  // The last block's sums in, the sums of all out.
  void finish(float* block) const {
    for (std::int64_t i = 0; i < size_; i += kLanes) {
      F32 sum = load(block + i);
      for (int level = 0; blocks_ >> level; ++level)
        if (blocks_ >> level & 1) sum = add(load(levels_[level] + i), sum);
      store(block + i, sum);
    }
  }

 private:
  static constexpr int kLevels = 36;  // 2^36 blocks are more than there is memory for

  std::int64_t size_;
  std::uint64_t blocks_ = 0;
  // Level i: the sum of 2^i blocks, where bit i of their number is set.
  alignas(kLanes * sizeof(float)) float levels_[kLevels][Most];
};

// One sum a lane, of values that come one by one; so many make a block.
template <int Run>
class RunningSum {
 public:
  CONVKIT_INLINE void add_value(F32 a) {
    start_block_if_full();
    sum_ = add(sum_, a);
  }
  CONVKIT_INLINE void add_product(F32 a, F32 b) {
    start_block_if_full();
    sum_ = fma(a, b, sum_);
  }
  F32 total() {
    if (is_short_) return sum_;
    alignas(kLanes * sizeof(float)) float block[kLanes];
    store(block, sum_);
    sums_.finish(block);
    return load(block);
  }

 private:
  CONVKIT_INLINE void start_block_if_full() {
    if (++terms_ <= Run) return;
    alignas(kLanes * sizeof(float)) float block[kLanes];
    store(block, sum_);
    sums_.add_block(block);
    sum_ = zero();
    terms_ = 1;
    is_short_ = false;
  }

  F32 sum_ = zero();
  std::int64_t terms_ = 0;
  bool is_short_ = true;
  PairwiseSums<kLanes> sums_{kLanes};
};

// One chain of additions a lane, as RunningSum where the terms are few.
struct ShortSum {
  F32 sum = zero();
  CONVKIT_INLINE void add_value(F32 a) { sum = add(sum, a); }
  CONVKIT_INLINE void add_product(F32 a, F32 b) { sum = fma(a, b, sum); }
  CONVKIT_INLINE F32 total() const { return sum; }
};

CONVKIT_END_KERNELS
