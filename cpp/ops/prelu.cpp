#include "prelu.h"

#include <algorithm>

#include "../dispatch/cpu.h"
#include "pack.h"
#include "parallel.h"
#include "ranks.h"

namespace convkit::ops {
namespace {

constexpr std::int64_t kElementsPerTask = 1 << 14;
constexpr std::int64_t kColumnsPerTask = 1 << 10;
constexpr std::int64_t kRowsPerBlock = 256;  // at most: a slope's sum is one chain of additions

// How (n, a, s, b, t) is cut into tasks: blocks of the n * s rows, each a, and pieces of b. It
// depends on the shape alone, and with it the order of the sums.
struct Cut {
  const PreluShape& shape;
  std::int64_t piece, pieces, rows, block, blocks;

  explicit Cut(const PreluShape& p)
      : shape(p),
        piece(std::max<std::int64_t>(1, std::min(p.b, kColumnsPerTask / p.t))),
        pieces(ceil_div(p.b, piece)),
        rows(p.n * p.s),
        block(std::clamp<std::int64_t>(kElementsPerTask / (piece * p.t), 1, kRowsPerBlock)),
        blocks(ceil_div(rows, block)) {}

  // Calls f(rows, offset in x, first slope) for the rows of a task that lie one behind another.
  template <class F>
  void each_run(std::int64_t task, F&& f) const {
    const std::int64_t first = task % pieces * piece;
    const std::int64_t a = task / pieces % shape.a;
    const std::int64_t begin = task / pieces / shape.a * block;
    const std::int64_t end = std::min(begin + block, rows);
    const std::int64_t ld = shape.b * shape.t;
    PreluRows part{0, std::min(piece, shape.b - first), shape.t, ld};
    for (std::int64_t row = begin; row < end; row += part.rows) {
      const std::int64_t image = row / shape.s, s = row % shape.s;
      part.rows = std::min(shape.s - s, end - row);
      f(part, ((image * shape.a + a) * shape.s + s) * ld + first * shape.t, a * shape.b + first);
    }
  }

  template <class F>
  void run(F&& f) const {
    parallel_for(blocks * shape.a * pieces, rows * shape.a * shape.b * shape.t, f);
  }
};

}  // namespace

bool prelu_shape(const std::vector<std::int64_t>& x, const std::vector<std::int64_t>& alpha,
                 PreluShape* shape) {
  // Sizes in turn: those of axes that share slopes, the batch first, and those of the others.
  std::vector<std::int64_t> groups{x[0]};
  // A sample that shares one slope is a run of values behind the batch, not a part of it.
  if (std::all_of(alpha.begin(), alpha.end(), [](std::int64_t size) { return size == 1; }))
    groups.insert(groups.end(), {1, 1});
  for (std::size_t i = 0; i < alpha.size(); ++i) {
    if (x[i + 1] == 1) continue;
    const bool shared = alpha[i] == 1, last = groups.size() % 2 == 1;
    if (shared == last) {
      groups.back() *= x[i + 1];
    } else {
      groups.push_back(x[i + 1]);
    }
  }
  if (groups.size() > 5) return false;
  // Without a second run of slopes the first is b, so that rows go on from sample to sample.
  if (groups.size() <= 3) {
    groups.resize(3, 1);
    *shape = {1, 1, groups[0], groups[1], groups[2]};
  } else {
    groups.resize(5, 1);
    *shape = {groups[0], groups[1], groups[2], groups[3], groups[4]};
  }
  return true;
}

void prelu_apply(const PreluShape& shape, const float* x, const float* g, const float* alpha,
                 float* y) {
  const Cut cut(shape);
  cut.run([&](std::int64_t task) {
    cut.each_run(task, [&](const PreluRows& part, std::int64_t at, std::int64_t slope) {
      kernels().prelu_apply(part, x + at, g + at, alpha + slope, y + at);
    });
  });
}

void prelu_backward_alpha(const PreluShape& shape, const float* dy, const float* x, float* dalpha) {
  // The batch is a factor of the first axis that is not 1.
  const bool in_rows = shape.n == 1 && shape.a == 1;
  if (const Ranks* ranks = exact_ranks_of_rows(in_rows ? shape.s : shape.n)) {
    PreluShape whole = shape;
    std::int64_t& axis = in_rows ? whole.s : whole.n;
    const std::int64_t own = ranks->own_samples(), of_sample = axis / own;
    const std::int64_t size = shape.n * shape.a * shape.s * shape.b * shape.t / own;
    axis = of_sample * ranks->samples();
    Scratch scratch;
    const auto [all_dy, all_x] = gather_batch(ranks, {{dy, size}, {x, size}}, scratch);
    const WithoutRanks alone;
    return prelu_backward_alpha(whole, all_dy, all_x, dalpha);
  }
  const Cut cut(shape);
  const std::int64_t slopes = shape.a * shape.b;
  Scratch scratch;
  float* sums = scratch.take(cut.blocks, slopes);
  cut.run([&](std::int64_t task) {
    float* mine = sums + task / cut.pieces / shape.a * slopes;
    bool begun = false;
    cut.each_run(task, [&](const PreluRows& part, std::int64_t at, std::int64_t slope) {
      if (!begun) std::fill(mine + slope, mine + slope + part.b, 0.0f);
      begun = true;
      kernels().prelu_sums(part, dy + at, x + at, mine + slope);
    });
  });
  sum_blocks(cut.blocks, slopes, sums, dalpha);
}

}  // namespace convkit::ops
