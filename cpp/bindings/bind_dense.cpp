#include "../ops/dense.h"
#include "array.h"
#include "calls.h"

namespace convkit::bindings {
namespace {

void dense_forward(const Floats& x, const Floats& w, const std::optional<Floats>& b,
                   const Epilogue& activation, std::optional<Floats> z, Floats out) {
  check_rank("x", x, 2);
  check_rank("w", w, 2);
  check_not_empty("x", x);
  check_not_empty("w", w);
  const std::int64_t n = x.shape(0), c = x.shape(1), oc = w.shape(1);
  check_shape("w", w, {c, oc});
  if (b) check_shape("b", *b, {oc});
  if (z) check_shape("z", *z, {n, oc});
  check_shape("out", out, {n, oc});
  const float *px = x.data(), *pw = w.data(), *pb = in_data(b);
  float *pz = out_data(z), *y = out_data(out);
  run([=] { ops::dense_forward(n, c, oc, px, pw, pb, {y, activation, nullptr, pz}); }, x, w, b, z,
      out);
}

void dense_backward_input(const Floats& dy, const Floats& w, Floats out) {
  check_rank("dy", dy, 2);
  check_rank("w", w, 2);
  check_not_empty("dy", dy);
  check_not_empty("w", w);
  const std::int64_t n = dy.shape(0), c = w.shape(0), oc = dy.shape(1);
  check_shape("w", w, {c, oc});
  check_shape("out", out, {n, c});
  const float *pdy = dy.data(), *pw = w.data();
  float* dx = out_data(out);
  run([=] { ops::dense_backward_input(n, c, oc, pdy, pw, dx); }, dy, w, out);
}

void dense_backward_weights(const Floats& x, const Floats& dy, Floats out) {
  check_rank("x", x, 2);
  check_rank("dy", dy, 2);
  check_not_empty("x", x);
  check_not_empty("dy", dy);
  const std::int64_t n = x.shape(0), c = x.shape(1), oc = dy.shape(1);
  check_shape("dy", dy, {n, oc});
  check_shape("out", out, {c, oc});
  const float *px = x.data(), *pdy = dy.data();
  float* dw = out_data(out);
  run([=] { ops::dense_backward_weights(n, c, oc, px, pdy, dw); }, x, dy, out);
}

void bias_forward(const Floats& x, const std::optional<Floats>& b, bool relu, Floats out) {
  check_rank("x", x, 2);
  check_not_empty("x", x);
  const std::int64_t rows = x.shape(0), c = x.shape(1);
  if (b) check_shape("b", *b, {c});
  check_shape("out", out, shape_of(x));
  const float *px = x.data(), *pb = in_data(b);
  float* y = out_data(out);
  run([=] { ops::bias_forward(rows, c, px, pb, relu, y); }, x, b, out);
}

void bias(const Floats& dy, Floats out) {
  check_rank("dy", dy, 2);
  check_not_empty("dy", dy);
  const std::int64_t rows = dy.shape(0), c = dy.shape(1);
  check_shape("out", out, {c});
  const float* pdy = dy.data();
  float* db = out_data(out);
  run([=] { ops::bias_backward(rows, c, pdy, db); }, dy, out);
}

void bias_relu(const Floats& dy, const Floats& y, Floats out, Floats db) {
  check_rank("dy", dy, 2);
  check_not_empty("dy", dy);
  check_shape("y", y, shape_of(dy));
  check_shape("out", out, shape_of(dy));
  const std::int64_t rows = dy.shape(0), c = dy.shape(1);
  check_shape("db", db, {c});
  const float *pdy = dy.data(), *py_ = y.data();
  float *dz = out_data(out), *pdb = out_data(db);
  run([=] { ops::bias_relu_backward(rows, c, pdy, py_, dz, pdb); }, dy, y, out, db);
}

}  // namespace

void bind_dense(py::handle m) {
  define(m, "dense_forward(x, w, b, activation, z, out)", dense_forward);
  define(m, "dense_backward_input(dy, w, out)", dense_backward_input);
  define(m, "dense_backward_weights(x, dy, out)", dense_backward_weights);
  define(m, "bias_forward(x, b, relu, out)", bias_forward);
  define(m, "bias_relu_backward(dy, y, out, db)", bias_relu);
  define(m, "bias_backward(dy, out)", bias);
}

}  // namespace convkit::bindings
