#include "conv2d_max_pool2d.h"

#include "conv2d.h"
#include "dense.h"
#include "pool2d.h"
#include "scratch.h"
#include "winograd.h"

namespace convkit::ops {
namespace {

// The convolution without the odd last row and column that no window holds.
ConvShape pooled_part(const ConvShape& s) {
  ConvShape even = s;
  even.oh -= s.oh % 2;
  even.ow -= s.ow % 2;
  return even;
}

PoolShape pool_shape(const ConvShape& s) {
  PoolShape p = {};
  p.n = s.n, p.h = s.oh, p.w = s.ow, p.c = s.oc;
  p.kh = 2, p.kw = 2;
  p.oh = s.oh / 2, p.ow = s.ow / 2;
  p.stride_h = 2, p.stride_w = 2;
  return p;
}

}  // namespace

void conv2d_max_pool2d_forward(const ConvShape& s, const float* x, const float* w, const float* b,
                               bool relu, float* y, std::uint8_t* indices) {
  const ConvShape part = pooled_part(s);
  if (winograd_allowed(part)) return winograd_max_pool_forward(part, x, w, b, relu, y, indices);
  Scratch scratch;
  float* whole = scratch.take(part.n * part.oh * part.ow * part.oc);
  conv2d_forward(part, x, w, b, relu, whole);
  max_pool2d_forward(pool_shape(part), whole, y, indices, false);
}

bool conv2d_max_pool2d_indices_valid(const ConvShape& s, const std::uint8_t* indices) {
  return max_pool2d_indices_valid(pool_shape(pooled_part(s)), indices, false);
}

void conv2d_max_pool2d_backward(const ConvShape& s, const float* x, const float* w, const float* y,
                                const std::uint8_t* indices, const float* dy, bool relu, float* dx,
                                float* dw, float* db) {
  const ConvShape part = pooled_part(s);
  const std::int64_t rows = part.n * (part.oh / 2) * (part.ow / 2);
  Scratch scratch;
  // A window's maximum is positive exactly where ReLU let its gradient through, so both ReLU and
  // the bias work on a quarter of the convolution's outputs.
  const float* gradient = dy;
  if (relu) {
    float* masked = scratch.take(rows * part.oc);
    float* sums = db ? db : scratch.take(part.oc);
    bias_relu_backward(rows, part.oc, dy, y, masked, sums);
    gradient = masked;
  } else if (db) {
    bias_backward(rows, part.oc, dy, db);
  }
  if (!dx && !dw) return;
  float* whole = scratch.take(part.n * part.oh * part.ow * part.oc);
  max_pool2d_backward(pool_shape(part), gradient, indices, false, whole);
  if (dw) conv2d_backward_weights(part, x, whole, dw);
  if (dx) conv2d_backward_input(part, whole, w, dx);
}

}  // namespace convkit::ops
