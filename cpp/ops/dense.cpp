#include "dense.h"

#include <algorithm>

#include "../dispatch/cpu.h"
#include "conv2d.h"
#include "correlation.h"
#include "pack.h"
#include "parallel.h"
#include "ranks.h"
#include "scratch.h"

namespace convkit::ops {
namespace {

constexpr std::int64_t kRowsPerBlock = 512;
// Register tiles of channels whose input gradient is transposed together, in a first-level cache.
constexpr std::int64_t kGradientTiles = 8;
// With a batch this many times as large as the weights, these are transposed instead.
constexpr std::int64_t kLargeBatch = 4;

ConvShape dense_shape(std::int64_t n, std::int64_t c, std::int64_t oc) {
  ConvShape s = {};
  s.n = 1, s.h = 1, s.w = n, s.c = c;
  s.kh = 1, s.kw = 1;
  s.oh = 1, s.ow = n, s.oc = oc;
  s.stride_h = 1, s.stride_w = 1, s.dilation_h = 1, s.dilation_w = 1;
  s.groups = 1;
  return s;
}

// The rows of the whole batch.
std::int64_t whole_rows(std::int64_t rows) {
  const Ranks* ranks = exact_ranks_of_rows(rows);
  return ranks ? rows / ranks->own_samples() * ranks->samples() : rows;
}

// dx^T = w dy^T for channels [begin, end) and samples [first, last), transposed while it is near.
// dy_columns: these samples' columns of dy^T, a register tile of them.
void input_gradient(std::int64_t c, std::int64_t oc, const float* dy_columns, const float* w,
                    float* dx, std::int64_t begin, std::int64_t end, std::int64_t first,
                    std::int64_t last) {
  const KernelTable& kernel = kernels();
  const std::int64_t rows = end - begin, columns = last - first;
  Scratch scratch;
  const Tap tap = {0, 0, dy_columns};
  Correlation product = forward_correlation(dense_shape(rows, oc, columns));
  product.src = w + begin * oc;
  product.out = scratch.take(rows, columns);
  product.k = oc, product.cols = columns, product.ldw = kernel.tile_columns;
  product.taps = &tap, product.tap_count = 1;
  kernel.correlate(product, 0, rows, 0, columns, scratch.take<const float*>(kernel.tile_rows));
  kernel.transpose(product.out, columns, rows, columns, dx + first * c + begin, c, rows);
}

}  // namespace

void dense_forward(std::int64_t n, std::int64_t c, std::int64_t oc, const float* x, const float* w,
                   const float* b, const ConvOutput& out) {
  conv2d_forward(dense_shape(n, c, oc), x, w, b, out);
}

void dense_backward_input(std::int64_t n, std::int64_t c, std::int64_t oc, const float* dy,
                          const float* w, float* dx) {
  // Panels of samples have whole tiles of columns: for a few samples, no more than the weights.
  const std::int64_t whole = whole_rows(n);
  const std::int64_t padded = round_up(whole, kernels().tile_columns);
  if (product(whole, sum(c, oc)) >= product(kLargeBatch, c, oc) || padded > 8 * whole + c)
    return conv2d_backward_input(dense_shape(n, c, oc), dy, w, false, dx);
  // For a small batch the activations are cheaper to transpose than the weights.
  const KernelTable& kernel = kernels();
  const std::int64_t rows = kGradientTiles * kernel.tile_rows, columns = kernel.tile_columns;
  const std::int64_t panels = ceil_div(n, columns);
  Scratch scratch;
  float* dy_columns = scratch.take(panels, oc, columns);
  parallel_ranges(n, columns, oc, [&](std::int64_t begin, std::int64_t end) {
    kernel.transpose(dy + begin * oc, oc, end - begin, oc, dy_columns + begin * oc, columns,
                     columns);
  });
  const std::int64_t work = product(c, oc, panels, kernel.tile_columns / kernel.lanes);
  parallel_for(ceil_div(c, rows) * panels, work, [&](std::int64_t task) {
    const std::int64_t begin = task / panels * rows, first = task % panels * columns;
    input_gradient(c, oc, dy_columns + first * oc, w, dx, begin, std::min(begin + rows, c), first,
                   std::min(first + columns, n));
  });
}

void dense_backward_weights(std::int64_t n, std::int64_t c, std::int64_t oc, const float* x,
                            const float* dy, float* dw) {
  const Ranks* ranks = exact_ranks_of_rows(n);
  if (!ranks) return conv2d_backward_weights_strided(dense_shape(n, c, oc), x, c, dy, dw);
  // Every rank computes some rows of dw from the whole batch.
  Scratch scratch;
  const std::int64_t of_sample = n / ranks->own_samples();
  const auto [all_x, all_dy] =
      gather_batch(ranks, {{x, of_sample * c}, {dy, of_sample * oc}}, scratch);
  const ChannelShare share(*ranks, ranks->rank(), c, 1);
  if (share.begin < share.end) {
    const WithoutRanks alone;
    const ConvShape s = dense_shape(of_sample * ranks->samples(), share.end - share.begin, oc);
    conv2d_backward_weights_strided(s, all_x + share.begin, c, all_dy, dw + share.begin * oc);
  }
  gather_channels(*ranks, 1, c, oc, 1, dw);
}

void bias_forward(std::int64_t rows, std::int64_t c, const float* x, const float* b, bool relu,
                  float* y) {
  Scratch scratch;
  float* ones = scratch.take(c);
  std::fill(ones, ones + c, 1.0f);
  if (!b) {
    float* zeros = scratch.take(c);
    std::fill(zeros, zeros + c, 0.0f);
    b = zeros;
  }
  parallel_ranges(rows, kRowsPerBlock, c, [&](std::int64_t begin, std::int64_t end) {
    kernels().batchnorm_normalise(x, ones, b, nullptr, relu, y, c, begin, end);
  });
}

void bias_relu_backward(std::int64_t rows, std::int64_t c, const float* dy, const float* y,
                        float* out, float* db) {
  Scratch scratch;
  if (const Ranks* ranks = exact_ranks_of_rows(rows)) {
    const std::int64_t of_sample = rows / ranks->own_samples();
    const std::int64_t size = of_sample * c;
    const auto [all_dy, all_y] = gather_batch(ranks, {{dy, size}, {y, size}}, scratch);
    const std::int64_t all_rows = of_sample * ranks->samples();
    float* all_out = scratch.take(all_rows, c);
    const WithoutRanks alone;
    bias_relu_backward(all_rows, c, all_dy, all_y, all_out, db);
    return copy_own(*ranks, all_out, of_sample * c, out);
  }
  float* sums = scratch.take(ceil_div(rows, kRowsPerBlock), c);
  parallel_ranges(rows, kRowsPerBlock, c, [&](std::int64_t begin, std::int64_t end) {
    kernels().relu_sum_rows(dy, y, c, begin, end, out, sums + begin / kRowsPerBlock * c);
  });
  sum_blocks(ceil_div(rows, kRowsPerBlock), c, sums, db);
}

void bias_backward(std::int64_t rows, std::int64_t c, const float* dy, float* db) {
  Scratch scratch;
  if (const Ranks* ranks = exact_ranks_of_rows(rows)) {
    const std::int64_t of_sample = rows / ranks->own_samples();
    dy = gather_batch(ranks, dy, of_sample * c, scratch);
    const WithoutRanks alone;
    return bias_backward(of_sample * ranks->samples(), c, dy, db);
  }
  float* sums = scratch.take(ceil_div(rows, kRowsPerBlock), c);
  parallel_ranges(rows, kRowsPerBlock, c, [&](std::int64_t begin, std::int64_t end) {
    kernels().sum_rows(dy, c, begin, end, sums + begin / kRowsPerBlock * c);
  });
  sum_blocks(ceil_div(rows, kRowsPerBlock), c, sums, db);
}

}  // namespace convkit::ops
