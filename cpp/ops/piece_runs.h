// Pieces of a batch in runs of neighbours, each of which one thread computes and adds up.
#pragma once

#include <cstdint>

namespace convkit::ops {

// The longest runs first, then shorter ones, always as many as all threads take at a time; pieces
// that are left over are in no run. A run has a power of two of pieces and begins at a multiple of
// that, so its sum is one of those in the tree of pairs, and pairs of pairs, that all pieces make.
class PieceRuns {
 public:
  PieceRuns(std::int64_t pieces, std::int64_t longest, std::int64_t threads) {
    for (int level = kLevels - 1; level >= 0; --level) {
      if (longest >> level == 0) continue;
      runs_[level] = ((pieces - pieces_) >> level) / threads * threads;
      pieces_ += runs_[level] << level;
      count_ += runs_[level];
    }
  }

  std::int64_t count() const { return count_; }
  // In all runs.
  std::int64_t pieces() const { return pieces_; }

  struct Run {
    std::int64_t first, size;
    int level;  // size = 2^level
  };
  Run operator[](std::int64_t i) const {
    std::int64_t first = 0;
    int level = kLevels - 1;
    for (; i >= runs_[level] && level > 0; --level) {
      i -= runs_[level];
      first += runs_[level] << level;
    }
    return {first + (i << level), std::int64_t{1} << level, level};
  }
  std::int64_t longest() const { return count_ > 0 ? (*this)[0].size : 0; }

 private:
  static constexpr int kLevels = 4;

  std::int64_t runs_[kLevels] = {};  // of each level
  std::int64_t count_ = 0, pieces_ = 0;
};

}  // namespace convkit::ops
