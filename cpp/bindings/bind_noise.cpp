#include "../ops/noise.h"

#include <limits>

#include "../ops/ranks.h"
#include "array.h"
#include "calls.h"

namespace convkit::bindings {
namespace {

using Word = Number<std::uint64_t>;

void spatial_dropout2d(const Floats& x, double rate, const Word& seed, const Word& step,
                       std::uint64_t offset, Floats out) {
  if (!(rate >= 0.0 && rate < 1.0))
    throw std::invalid_argument("rate must be in [0, 1), but is " + std::to_string(rate));
  check_rank("x", x, 4);
  check_not_empty("x", x);
  check_shape("seed", seed, {1});
  check_shape("step", step, {1});
  check_shape("out", out, shape_of(x));
  const std::int64_t n = x.shape(0), plane = x.shape(1) * x.shape(2), c = x.shape(3);
  const float* px = x.data();
  const std::uint64_t *pseed = seed.data(), *pstep = step.data();
  float* y = out_data(out);
  run([=] { ops::spatial_dropout2d(n, plane, c, px, y, rate, *pseed, offset + *pstep); }, x, seed,
      step, out);
}

void gaussian_noise(const Floats& x, double deviation, bool multiply, const Word& seed,
                    const Word& step, std::uint64_t offset, Floats out) {
  if (!(deviation >= 0.0 && deviation <= std::numeric_limits<float>::max())) {
    throw std::invalid_argument("the standard deviation must be a number of at least 0, but is " +
                                std::to_string(deviation));
  }
  check_shape("seed", seed, {1});
  check_shape("step", step, {1});
  check_shape("out", out, shape_of(x));
  const std::int64_t size = x.size(), n = x.ndim() > 0 ? x.shape(0) : 1;
  const float* px = x.data();
  const std::uint64_t *pseed = seed.data(), *pstep = step.data();
  float* y = out_data(out);
  run(
      [=] {
        ops::gaussian_noise(px, y, size, ops::first_element(n, size), deviation, multiply, *pseed,
                            offset + *pstep);
      },
      x, seed, step, out);
}

void copy(const Floats& x, Floats out) {
  check_shape("out", out, shape_of(x));
  const std::int64_t n = x.size();
  const float* px = x.data();
  float* y = out_data(out);
  run([=] { ops::copy(px, y, n); }, x, out);
}

}  // namespace

void bind_noise(py::handle m) {
  define(m, "spatial_dropout2d(x, rate, seed, step, offset, out)", spatial_dropout2d);
  define(m, "gaussian_noise(x, deviation, multiply, seed, step, offset, out)", gaussian_noise);
  define(m, "copy(x, out)", copy);
}

}  // namespace convkit::bindings
