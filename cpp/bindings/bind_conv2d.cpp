#include "../ops/conv2d.h"

#include "../ops/extent.h"
#include "../ops/pool2d.h"
#include "array.h"
#include "calls.h"

namespace convkit::bindings {
namespace {

// Images with `rows` rows and `columns` columns of padding around each: kernels count positions
// there in steps of the images' own rows, and read none of them.
void check_padded(const char* name, const Sizes& images, std::int64_t rows, std::int64_t columns) {
  using ops::product, ops::sum;
  const std::int64_t last_row = sum(product(images[0], images[1]), rows);
  const std::int64_t last = sum(product(last_row, images[2]), columns);
  check_size(name, product(last, images[3]));
}

// The padding around an axis, on both sides, in which a window of the problem can fall.
std::int64_t margin(std::int64_t size, std::int64_t before, std::int64_t after,
                    std::int64_t stride) {
  // A gradient's window reaches as far beyond either end as a step takes it.
  return 2 * ((size + before + after) / stride + 1);
}

}  // namespace

ConvShape conv_shape(const Sizes& x, const Sizes& w, const Pair& strides, const Pads& pads,
                     const Pair& dilation, std::int64_t groups, bool direct) {
  for (const Sizes* sizes : {&x, &w}) {
    if (sizes->size() == 4 && (*sizes)[0] > 0 && (*sizes)[1] > 0 && (*sizes)[2] > 0 &&
        (*sizes)[3] > 0)
      continue;
    throw std::invalid_argument(
        "a convolution needs four positive sizes (N, H, W, C) and "
        "(KH, KW, C / groups, OC), but got " +
        to_string(x) + " and " + to_string(w));
  }
  check_range("groups", groups, 1);
  check_size("the input", ops::product(x[0], x[1], x[2], x[3]));
  check_size("the kernel", ops::product(w[0], w[1], w[2], w[3]));
  ConvShape s = {};
  s.n = x[0], s.h = x[1], s.w = x[2], s.c = x[3];
  s.kh = w[0], s.kw = w[1], s.oc = w[3];
  s.groups = groups;
  s.direct = direct;
  if (s.c % groups != 0 || s.oc % groups != 0 || w[2] != s.c / groups) {
    throw std::invalid_argument("weights of shape " + to_string(w) + " do not fit an input of " +
                                std::to_string(s.c) + " channels in " + std::to_string(groups) +
                                " groups: expected (KH, KW, C / groups, OC)");
  }
  s.stride_h = strides[0], s.stride_w = strides[1];
  s.dilation_h = dilation[0], s.dilation_w = dilation[1];
  s.pad_top = pads[0], s.pad_left = pads[2];
  s.oh = output_size("rows", s.h, s.kh, s.stride_h, s.dilation_h, pads[0], pads[1]);
  s.ow = output_size("columns", s.w, s.kw, s.stride_w, s.dilation_w, pads[2], pads[3]);
  // A kernel of one element has no distances, and a large one would only be multiplied.
  if (s.kh == 1) s.dilation_h = 1;
  if (s.kw == 1) s.dilation_w = 1;
  check_size("the output", ops::product(s.n, s.oh, s.ow, s.oc));
  check_padded("the padded input", x, pads[0] + pads[1], pads[2] + pads[3]);
  check_padded("the padded output", {s.n, s.oh, s.ow, s.oc},
               margin(s.h, pads[0], pads[1], s.stride_h),
               margin(s.w, pads[2], pads[3], s.stride_w));
  return s;
}

Sizes pooled_shape(const ConvShape& s) {
  if (s.oh < 2 || s.ow < 2) {
    throw std::invalid_argument("a 2 x 2 pool does not fit the convolution's output of " +
                                std::to_string(s.oh) + " x " + std::to_string(s.ow));
  }
  return {s.n, s.oh / 2, s.ow / 2, s.oc};
}

void check_pool_indices(const ConvShape& s, const Indices& indices) {
  check_shape("indices", indices, pooled_shape(s));
  if (!ops::max_pool2d_indices_valid(ops::pool_of_two(s), indices.data(), false))
    throw std::invalid_argument("indices must be in [0, 4), the positions of a 2 x 2 window");
}

void check_gradients(const Floats& x, const Floats& w, const std::optional<Floats>& dx,
                     const std::optional<Floats>& dw, const std::optional<Floats>& db) {
  if (dx) check_shape("dx", *dx, shape_of(x));
  if (dw) check_shape("dw", *dw, shape_of(w));
  if (db) check_shape("db", *db, {w.shape(3)});
}

namespace {

void conv2d_forward(const Floats& x, const Floats& w, const std::optional<Floats>& b,
                    const Pair& strides, const Pads& pads, const Pair& dilation,
                    std::int64_t groups, bool direct, const Epilogue& activation,
                    std::optional<Floats> z, Floats out) {
  const ConvShape s = conv_shape(shape_of(x), shape_of(w), strides, pads, dilation, groups, direct);
  if (b) check_shape("b", *b, {s.oc});
  if (z) check_shape("z", *z, {s.n, s.oh, s.ow, s.oc});
  check_shape("out", out, {s.n, s.oh, s.ow, s.oc});
  const float *px = x.data(), *pw = w.data(), *pb = in_data(b);
  float *pz = out_data(z), *y = out_data(out);
  run_convolution(
      s,
      [=](const ConvShape& s) { ops::conv2d_forward(s, px, pw, pb, {y, activation, nullptr, pz}); },
      x, w, b, z, out);
}

void conv2d_backward_input(const Floats& dy, const Floats& w, const Pair& strides, const Pads& pads,
                           const Pair& dilation, std::int64_t groups, bool direct, Floats out) {
  const ConvShape s =
      conv_shape(shape_of(out), shape_of(w), strides, pads, dilation, groups, direct);
  check_shape("dy", dy, {s.n, s.oh, s.ow, s.oc});
  const float *pdy = dy.data(), *pw = w.data();
  float* dx = out_data(out);
  run([=] { ops::conv2d_backward_input(s, pdy, pw, false, dx); }, dy, w, out);
}

void conv2d_backward_weights(const Floats& x, const Floats& dy, const Pair& strides,
                             const Pads& pads, const Pair& dilation, std::int64_t groups,
                             bool direct, Floats out) {
  const ConvShape s =
      conv_shape(shape_of(x), shape_of(out), strides, pads, dilation, groups, direct);
  check_shape("dy", dy, {s.n, s.oh, s.ow, s.oc});
  const float *px = x.data(), *pdy = dy.data();
  float* dw = out_data(out);
  run([=] { ops::conv2d_backward_weights(s, px, pdy, dw); }, x, dy, out);
}

void conv2d_backward(const Floats& x, const Floats& w, const Floats& dy,
                     const std::optional<Floats>& y, const Epilogue& activation,
                     const Pair& strides, const Pads& pads, const Pair& dilation,
                     std::int64_t groups, bool direct, bool add_to_dx, std::optional<Floats> dx,
                     std::optional<Floats> dw, std::optional<Floats> db) {
  const ConvShape s = conv_shape(shape_of(x), shape_of(w), strides, pads, dilation, groups, direct);
  check_shape("dy", dy, {s.n, s.oh, s.ow, s.oc});
  if (y) check_shape("y", *y, {s.n, s.oh, s.ow, s.oc});
  if (y.has_value() == activation.none)
    throw std::invalid_argument("y and the activation come together");
  check_gradients(x, w, dx, dw, db);
  const float *px = x.data(), *pw = w.data(), *pdy = dy.data(), *py_ = in_data(y);
  float *pdx = out_data(dx), *pdw = out_data(dw), *pdb = out_data(db);
  run(
      [=] {
        ops::Scratch scratch;
        const ops::OutputGradient output(s, pdy, py_, nullptr, nullptr, pdb, scratch, activation);
        ops::conv2d_backward(s, px, pw, output, add_to_dx, pdx, pdw);
      },
      x, w, dy, y, dx, dw, db);
}

std::string algorithm(const Sizes& x_shape, const Sizes& w_shape, const Pair& strides,
                      const Pads& pads, const Pair& dilation, std::int64_t groups, bool direct,
                      const std::string& direction) {
  const ConvShape s = conv_shape(x_shape, w_shape, strides, pads, dilation, groups, direct);
  if (direction == "forward") return ops::conv2d_algorithm(s, ops::Direction::kForward);
  if (direction == "backward_input")
    return ops::conv2d_algorithm(s, ops::Direction::kBackwardInput);
  if (direction == "backward_weights")
    return ops::conv2d_algorithm(s, ops::Direction::kBackwardWeights);
  throw std::invalid_argument(
      "direction must be forward, backward_input or backward_weights, but is '" + direction + "'");
}

}  // namespace

void bind_conv2d(py::handle m) {
  define(m, "conv2d_forward(x, w, b, strides, pads, dilation, groups, direct, activation, z, out)",
         conv2d_forward);
  define(m, "conv2d_backward_input(dy, w, strides, pads, dilation, groups, direct, out)",
         conv2d_backward_input);
  define(m, "conv2d_backward_weights(x, dy, strides, pads, dilation, groups, direct, out)",
         conv2d_backward_weights);
  define(m,
         "conv2d_backward(x, w, dy, y, activation, strides, pads, dilation, groups, direct, "
         "add_to_dx, dx, dw, db)",
         conv2d_backward);
  define(m,
         "conv2d_algorithm(x_shape, w_shape, strides, pads, dilation, groups, direct, direction)",
         algorithm);
}

}  // namespace convkit::bindings
