#include "merge.h"

#include <algorithm>
#include <utility>

#include "../dispatch/cpu.h"
#include "parallel.h"

namespace convkit::ops {
namespace {

using Sizes = std::vector<std::int64_t>;

constexpr std::int64_t kElementsPerTask = 1 << 14;
constexpr std::int64_t kLeastColumns = 64;  // neighbours in memory that are summed by one task

}  // namespace

Broadcast::Broadcast(const Sizes& shape, const std::vector<Sizes>& shapes,
                     std::vector<const float*> arrays)
    : arrays_(std::move(arrays)) {
  const std::size_t rank = shape.size();
  std::vector<Sizes> steps(shapes.size(), Sizes(rank, 0));
  for (std::size_t k = 0; k < shapes.size(); ++k) {
    std::int64_t step = 1;
    for (std::size_t i = 1; i <= shapes[k].size(); ++i) {
      const std::int64_t size = shapes[k][shapes[k].size() - i];
      if (size != 1) steps[k][rank - i] = step;
      step *= size;
    }
  }
  std::vector<std::size_t> axes;  // the last of those that are one
  for (std::size_t axis = 0; axis < rank; ++axis) {
    if (shape[axis] == 1) continue;
    const bool as_one = !axes.empty() && std::all_of(steps.begin(), steps.end(), [&](Sizes& each) {
      return each[axes.back()] == each[axis] * shape[axis];
    });
    if (as_one) {
      axes.back() = axis;
      sizes_.back() *= shape[axis];
    } else {
      axes.push_back(axis);
      sizes_.push_back(shape[axis]);
    }
  }
  for (const Sizes& each : steps)
    for (const std::size_t axis : axes) steps_.push_back(each[axis]);
  if (shapes.size() == arrays_.size()) complete();
}

void Broadcast::complete() {
  if (!sizes_.empty()) return;
  sizes_ = {1};
  steps_.assign(arrays_.size(), 0);
}

MergeShape Broadcast::view() const {
  return {static_cast<std::int64_t>(sizes_.size()), static_cast<std::int64_t>(arrays_.size()),
          sizes_.data(), arrays_.data(), steps_.data()};
}

std::int64_t Broadcast::size() const {
  std::int64_t count = 1;
  for (const std::int64_t size : sizes_) count = product(count, size);
  return count;
}

Broadcast Broadcast::along(bool broadcast) const {
  Broadcast part;
  part.arrays_ = arrays_;
  const std::size_t axes = sizes_.size(), last = arrays_.size();
  for (std::size_t axis = 0; axis < axes; ++axis)
    if (moves(last, axis) != broadcast) part.sizes_.push_back(sizes_[axis]);
  for (std::size_t k = 0; k < arrays_.size(); ++k)
    for (std::size_t axis = 0; axis < axes; ++axis)
      if (moves(last, axis) != broadcast) part.steps_.push_back(steps_[k * axes + axis]);
  part.complete();
  return part;
}

BroadcastSum::BroadcastSum(const Sizes& shape, const std::vector<Sizes>& shapes,
                           std::vector<const float*> arrays) {
  const Broadcast all(shape, shapes, std::move(arrays));
  kept = all.along(false);
  summed = all.along(true);
  columns = !all.sizes_.empty() && all.moves(shapes.size() - 1, all.sizes_.size() - 1);
}

void merge(const Broadcast& arrays, Merge kind, float divisor, float* y, std::uint8_t* indices) {
  const MergeShape s = arrays.view();
  // A gradient that is handed on where it is.
  if (s.count == 1 && divisor == 1.0f && y == s.arrays[0] && !indices) return;
  parallel_ranges(arrays.size(), kElementsPerTask, s.count,
                  [&](std::int64_t begin, std::int64_t end) {
                    kernels().merge(s, kind, divisor, begin, end, y, indices);
                  });
}

void merge_sum(const BroadcastSum& sum, const std::uint8_t* indices, int index, float divisor,
               float* out) {
  const MergeShape kept = sum.kept.view(), summed = sum.summed.view();
  const std::int64_t terms = sum.summed.size(), least = sum.columns ? kLeastColumns : 1;
  const std::int64_t per_task =
      std::max(least, kElementsPerTask / std::max<std::int64_t>(1, terms));
  parallel_ranges(sum.kept.size(), per_task, product(terms, kept.count),
                  [&](std::int64_t begin, std::int64_t end) {
                    kernels().merge_sum(kept, summed, sum.columns, indices, index, divisor, begin,
                                        end, out);
                  });
}

void merge_select(const float* dy, const std::uint8_t* indices, int index, float* dx,
                  std::int64_t n) {
  parallel_ranges(n, kElementsPerTask, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels().merge_select(dy + begin, indices + begin, index, dx + begin, end - begin);
  });
}

}  // namespace convkit::ops
