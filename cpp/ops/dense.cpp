#include "dense.h"

#include "../dispatch/cpu.h"
#include "conv2d.h"
#include "pack.h"
#include "parallel.h"
#include "scratch.h"

namespace convkit::ops {
namespace {

constexpr std::int64_t kRowsPerBlock = 512;

ConvShape dense_shape(std::int64_t n, std::int64_t c, std::int64_t oc) {
  ConvShape s = {};
  s.n = 1, s.h = 1, s.w = n, s.c = c;
  s.kh = 1, s.kw = 1;
  s.oh = 1, s.ow = n, s.oc = oc;
  s.stride_h = 1, s.stride_w = 1, s.dilation_h = 1, s.dilation_w = 1;
  s.groups = 1;
  return s;
}

}  // namespace

void dense_forward(std::int64_t n, std::int64_t c, std::int64_t oc, const float* x, const float* w,
                   const float* b, bool relu, float* y) {
  conv2d_forward(dense_shape(n, c, oc), x, w, b, relu, y);
}

void dense_backward_input(std::int64_t n, std::int64_t c, std::int64_t oc, const float* dy,
                          const float* w, float* dx) {
  if (n * (c + oc) >= c * oc) return conv2d_backward_input(dense_shape(n, c, oc), dy, w, dx);
  // dx^T = w dy^T: for a small batch the activations are cheaper to transpose than the weights.
  Scratch scratch;
  float* dy_columns = scratch.take(n * oc);
  float* dx_columns = scratch.take(n * c);
  transpose(n, oc, dy, dy_columns);
  conv2d_forward(dense_shape(c, oc, n), w, dy_columns, nullptr, false, dx_columns);
  transpose(c, n, dx_columns, dx);
}

void dense_backward_weights(std::int64_t n, std::int64_t c, std::int64_t oc, const float* x,
                            const float* dy, float* dw) {
  conv2d_backward_weights(dense_shape(n, c, oc), x, dy, dw);
}

void bias_relu_backward(std::int64_t rows, std::int64_t c, const float* dy, const float* y,
                        float* out, float* db) {
  Scratch scratch;
  float* sums = scratch.take(ceil_div(rows, kRowsPerBlock) * c);
  parallel_ranges(rows, kRowsPerBlock, c, [&](std::int64_t begin, std::int64_t end) {
    kernels().relu_sum_rows(dy, y, c, begin, end, out, sums + begin / kRowsPerBlock * c);
  });
  sum_blocks(ceil_div(rows, kRowsPerBlock), c, sums, db);
}

void bias_backward(std::int64_t rows, std::int64_t c, const float* dy, float* db) {
  Scratch scratch;
  float* sums = scratch.take(ceil_div(rows, kRowsPerBlock) * c);
  parallel_ranges(rows, kRowsPerBlock, c, [&](std::int64_t begin, std::int64_t end) {
    kernels().sum_rows(dy, c, begin, end, sums + begin / kRowsPerBlock * c);
  });
  sum_blocks(ceil_div(rows, kRowsPerBlock), c, sums, db);
}

}  // namespace convkit::ops
