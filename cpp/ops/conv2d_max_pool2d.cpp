#include "conv2d_max_pool2d.h"

#include "conv2d.h"
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

}  // namespace

void conv2d_max_pool2d_forward(const ConvShape& s, const float* x, const float* w, const float* b,
                               bool relu, float* y, std::uint8_t* indices) {
  const ConvShape part = pooled_part(s);
  if (winograd_allowed(part)) return winograd_max_pool_forward(part, x, w, b, relu, y, indices);
  Scratch scratch;
  float* whole = scratch.take(part.n, part.oh, part.ow, part.oc);
  conv2d_forward(part, x, w, b, {whole, Epilogue::relu_if(relu)});
  max_pool2d_forward(pool_of_two(part), whole, y, indices, false);
}

void conv2d_max_pool2d_backward(const ConvShape& s, const float* x, const float* w, const float* y,
                                const std::uint8_t* indices, const float* dy, bool relu, float* dx,
                                float* dw, float* db) {
  const ConvShape part = pooled_part(s);
  Scratch scratch;
  const OutputGradient output(part, dy, relu ? y : nullptr, indices, nullptr, db, scratch);
  conv2d_backward(part, x, w, output, false, dx, dw);
}

}  // namespace convkit::ops
