// Arrays that become one element by element, broadcast to its shape, and their gradients.
#pragma once

#include <vector>

#include "../shapes.h"

namespace convkit::ops {

// Arrays in C order that are read together, and how far each moves along the axes of a shape. Axes
// that no array tells apart are one, and axes of size 1 are left out.
class Broadcast {
 public:
  // Every shape ends in sizes that are those of `shape` or 1; it may have fewer.
  Broadcast(const std::vector<std::int64_t>& shape,
            const std::vector<std::vector<std::int64_t>>& shapes, std::vector<const float*> arrays);

  MergeShape view() const;
  std::int64_t size() const;
  // Whether an array has a number of its own at every position along an axis.
  bool moves(std::size_t array, std::size_t axis) const {
    return steps_[array * sizes_.size() + axis] != 0;
  }
  // The first arrays along those of its axes along which the last one is broadcast, or is not.
  Broadcast along(bool broadcast) const;

 private:
  Broadcast() = default;
  // No shape is without axes.
  void complete();

  std::vector<std::int64_t> sizes_;
  std::vector<const float*> arrays_;
  std::vector<std::int64_t> steps_;  // (arrays, axes)

  friend class BroadcastSum;
};

// Positions of dy and the arrays behind it, added up to those of an array that was broadcast.
class BroadcastSum {
 public:
  // The last of `shapes`, which has no array, is that of the sum.
  BroadcastSum(const std::vector<std::int64_t>& shape,
               const std::vector<std::vector<std::int64_t>>& shapes,
               std::vector<const float*> arrays);

  Broadcast kept, summed;
  bool columns;  // whether the last of all axes is kept
};

// indices: of the largest or the smallest, where that is the kind; else null.
void merge(const Broadcast& arrays, Merge kind, float divisor, float* y, std::uint8_t* indices);
// out = the sum of dy times all other arrays / divisor; with indices, of dy where it was selected.
void merge_sum(const BroadcastSum& sum, const std::uint8_t* indices, int index, float divisor,
               float* out);
// dx = dy where indices are that index, elsewhere 0.
void merge_select(const float* dy, const std::uint8_t* indices, int index, float* dx,
                  std::int64_t n);

}  // namespace convkit::ops
