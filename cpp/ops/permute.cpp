#include "permute.h"

#include <algorithm>

#include "../dispatch/cpu.h"
#include "parallel.h"

namespace convkit::ops {
namespace {

constexpr std::int64_t kElementsPerTask = 1 << 14;
constexpr std::int64_t kBlock = 64;  // rows and columns that are transposed at a time

// The axes that are walked over, one position after the other, and how far each leads in both
// arrays.
struct Walk {
  int rank = 0;
  std::int64_t size[kMostAxes], in_x[kMostAxes], in_y[kMostAxes];

  void add(std::int64_t count, std::int64_t x, std::int64_t y) {
    size[rank] = count, in_x[rank] = x, in_y[rank] = y;
    ++rank;
  }
  // Where position `index` of all is.
  void find(std::int64_t index, std::int64_t* x, std::int64_t* y) const {
    *x = *y = 0;
    for (int i = rank - 1; i >= 0; --i) {
      const std::int64_t at = index % size[i];
      index /= size[i];
      *x += at * in_x[i];
      *y += at * in_y[i];
    }
  }
};

// Runs of y that are runs of x.
void copy_runs(const Walk& walk, std::int64_t runs, std::int64_t length, const float* x, float* y) {
  const std::int64_t size = ceil_div(kElementsPerTask, length);
  parallel_ranges(runs, size, length, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      std::int64_t from, to;
      walk.find(i, &from, &to);
      std::copy_n(x + from, length, y + to);
    }
  });
}

// Matrices (rows, columns) of x, whose transposes are y's: step and ld_y lead from one row of
// either to the next.
void transpose_all(const Walk& walk, std::int64_t matrices, std::int64_t rows, std::int64_t step,
                   std::int64_t columns, std::int64_t ld_y, const float* x, float* y) {
  const std::int64_t down = ceil_div(rows, kBlock), across = ceil_div(columns, kBlock);
  const std::int64_t block = std::min(rows, kBlock) * std::min(columns, kBlock);
  const std::int64_t size = ceil_div(kElementsPerTask, block);
  parallel_ranges(matrices * down * across, size, block, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      std::int64_t from, to;
      walk.find(i / (down * across), &from, &to);
      const std::int64_t r = i / across % down * kBlock, c = i % across * kBlock;
      const std::int64_t height = std::min(rows - r, kBlock), width = std::min(columns - c, kBlock);
      kernels().transpose(x + from + r * step + c, step, height, width, y + to + c * ld_y + r, ld_y,
                          height);
    }
  });
}

}  // namespace

Permutation permutation(const std::vector<std::int64_t>& x_shape,
                        const std::vector<std::int64_t>& axes) {
  std::vector<std::int64_t> steps(x_shape.size(), 1);
  for (std::size_t i = x_shape.size(); i-- > 1;) steps[i - 1] = steps[i] * x_shape[i];
  Permutation p = {};
  for (const std::int64_t axis : axes) {
    const std::int64_t size = x_shape[axis], step = steps[axis];
    if (size == 1) continue;
    if (p.rank > 0 && p.step[p.rank - 1] == size * step) {
      p.size[p.rank - 1] *= size, p.step[p.rank - 1] = step;
    } else {
      p.size[p.rank] = size, p.step[p.rank] = step;
      ++p.rank;
    }
  }
  if (p.rank == 0) p.rank = 1, p.size[0] = p.step[0] = 1;
  return p;
}

void permute(const Permutation& p, const float* x, float* y) {
  const int last = std::max(p.rank - 1, 0);  // there is always one
  // x's last axis, and how far every axis leads in y.
  int inner = 0;
  while (inner < last && p.step[inner] != 1) ++inner;
  std::int64_t in_y[kMostAxes], total = 1;
  for (int i = last; i >= 0; --i) in_y[i] = total, total *= p.size[i];
  Walk walk;
  for (int i = 0; i < last; ++i)
    if (i != inner) walk.add(p.size[i], p.step[i], in_y[i]);
  if (inner == last) {
    // One run is no work to share out, so it is taken in pieces.
    if (last == 0) {
      parallel_ranges(total, kElementsPerTask, 1, [&](std::int64_t begin, std::int64_t end) {
        std::copy(x + begin, x + end, y + begin);
      });
    } else {
      copy_runs(walk, total / p.size[last], p.size[last], x, y);
    }
    return;
  }
  const std::int64_t matrices = total / (p.size[inner] * p.size[last]);
  transpose_all(walk, matrices, p.size[last], p.step[last], p.size[inner], in_y[inner], x, y);
}

}  // namespace convkit::ops
