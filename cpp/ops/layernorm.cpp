#include "layernorm.h"

#include <algorithm>

#include "../dispatch/cpu.h"
#include "pack.h"
#include "parallel.h"
#include "ranks.h"

namespace convkit::ops {
namespace {

constexpr std::int64_t kElementsPerTask = 1 << 14;
// Rows whose products are summed together: fixed, so that the sums' order is.
constexpr std::int64_t kRowsPerBlock = 256;
// Columns of a task, where rows are few and long: whole vectors.
constexpr std::int64_t kColumnsPerTask = 1 << 10;

std::int64_t rows_per_task(std::int64_t k) {
  return std::max<std::int64_t>(1, kElementsPerTask / k);
}

}  // namespace

void layernorm_forward(std::int64_t rows, std::int64_t k, const float* x, const float* gamma,
                       const float* beta, double epsilon, float* y, float* mean, float* rstd) {
  Scratch scratch;
  const float* scale = filled(gamma, k, 1.0f, scratch);
  const float* shift = filled(beta, k, 0.0f, scratch);
  parallel_ranges(rows, rows_per_task(k), k, [&](std::int64_t begin, std::int64_t end) {
    kernels().layernorm_forward(x, scale, shift, epsilon, y, mean, rstd, k, begin, end);
  });
}

void layernorm_backward(std::int64_t rows, std::int64_t k, const float* dy, const float* x,
                        const float* gamma, const float* mean, const float* rstd, float* dx,
                        float* dgamma, float* dbeta) {
  const KernelTable& kernel = kernels();
  Scratch scratch;
  const float* scale = dx ? filled(gamma, k, 1.0f, scratch) : nullptr;
  const bool sums = dgamma || dbeta;
  if (const Ranks* ranks = sums ? exact_ranks_of_rows(rows) : nullptr) {
    const std::int64_t of_sample = rows / ranks->own_samples();
    const std::int64_t size = of_sample * k;
    const auto [all_dy, all_x, all_mean, all_rstd] =
        gather_batch(ranks, {{dy, size}, {x, size}, {mean, of_sample}, {rstd, of_sample}}, scratch);
    const WithoutRanks alone;
    layernorm_backward(of_sample * ranks->samples(), k, all_dy, all_x, gamma, all_mean, all_rstd,
                       nullptr, dgamma, dbeta);
    return layernorm_backward(rows, k, dy, x, gamma, mean, rstd, dx, nullptr, nullptr);
  }
  const std::int64_t blocks = ceil_div(rows, kRowsPerBlock);
  float* sum_dy = sums ? scratch.take(blocks, k) : nullptr;
  float* sum_dy_xhat = sums ? scratch.take(blocks, k) : nullptr;
  const auto reduce = [&](std::int64_t block, std::int64_t first, std::int64_t last) {
    const std::int64_t begin = block * kRowsPerBlock, end = std::min(begin + kRowsPerBlock, rows);
    kernel.layernorm_reduce(dy + first, x + first, mean, rstd, k, last - first, begin, end,
                            sum_dy + block * k + first, sum_dy_xhat + block * k + first);
  };
  const auto input = [&](std::int64_t begin, std::int64_t end) {
    kernel.layernorm_backward(dy, x, scale, mean, rstd, dx, k, begin, end);
  };
  if (sums && dx && blocks >= num_threads()) {  // a block's rows are in cache the second time
    parallel_ranges(rows, kRowsPerBlock, 2 * k, [&](std::int64_t begin, std::int64_t end) {
      reduce(begin / kRowsPerBlock, 0, k);
      input(begin, end);
    });
  } else {
    const std::int64_t pieces = ceil_div(k, kColumnsPerTask);
    if (sums) {
      parallel_for(blocks * pieces, product(rows, k), [&](std::int64_t task) {
        const std::int64_t first = task % pieces * kColumnsPerTask;
        reduce(task / pieces, first, std::min(first + kColumnsPerTask, k));
      });
    }
    if (dx) parallel_ranges(rows, rows_per_task(k), k, input);
  }
  if (dgamma) sum_blocks(blocks, k, sum_dy_xhat, dgamma);
  if (dbeta) sum_blocks(blocks, k, sum_dy, dbeta);
}

}  // namespace convkit::ops
