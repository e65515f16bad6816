#include "upsampling2d.h"

#include <algorithm>

#include "../dispatch/cpu.h"
#include "parallel.h"
#include "scratch.h"

namespace convkit::ops {
namespace {

constexpr std::int64_t kElementsPerTask = 1 << 14;  // of the larger images

// Output p of an input's own lies (2 p + 1 - factor) / (2 factor) of a pixel from its middle;
// beyond the outermost middles the images go on as they are there.
UpsampledAxis axis(std::int64_t size, std::int64_t factor, bool bilinear, Scratch& scratch) {
  float* near = scratch.take(size, factor);
  float* far = scratch.take(size, factor);
  for (std::int64_t p = 0; p < factor; ++p) {
    const std::int64_t twice = 2 * p + 1 - factor;
    const double share =
        static_cast<double>(twice < 0 ? -twice : twice) / static_cast<double>(2 * factor);
    const std::int64_t outermost = twice < 0 ? 0 : size - 1;
    for (std::int64_t q = 0; q < size; ++q) {
      const bool alone = !bilinear || twice == 0 || q == outermost;
      near[q * factor + p] = alone ? 1.0f : static_cast<float>(1.0 - share);
      far[q * factor + p] = alone ? 0.0f : static_cast<float>(share);
    }
  }
  return {size, factor, bilinear ? factor / 2 : 0, near, far};
}

// Calls kernel(problem, begin, end, memory) for pieces of the rows of the smaller images; memory is
// `width` floats of a thread's own.
template <class Kernel>
void each_piece(const UpsamplingShape& s, std::int64_t width, const Kernel& kernel) {
  Scratch tables;
  const Upsampling problem = {s.n, s.c, axis(s.h, s.size_h, s.bilinear, tables),
                              axis(s.w, s.size_w, s.bilinear, tables)};
  const std::int64_t weight = product(s.size_h, s.w, s.size_w, s.c);
  const std::int64_t rows = s.n * s.h;
  const std::int64_t size = std::max<std::int64_t>(ceil_div(kElementsPerTask, weight), 1);
  parallel_for(
      ceil_div(rows, size), product(rows, weight),
      [&](Scratch& scratch) { return scratch.take(width); },
      [&](std::int64_t task, float* memory) {
        const std::int64_t begin = task * size;
        kernel(problem, begin, begin + size < rows ? begin + size : rows, memory);
      });
}

}  // namespace

void upsampling2d_forward(const UpsamplingShape& s, const float* x, float* y) {
  each_piece(s, s.w * s.c,
             [&](const Upsampling& p, std::int64_t begin, std::int64_t end, float* m) {
               kernels().upsampling2d_forward(p, x, y, begin, end, m);
             });
}

void upsampling2d_backward(const UpsamplingShape& s, const float* dy, float* dx) {
  const std::int64_t width = s.w * s.size_w * s.c;
  each_piece(s, width, [&](const Upsampling& p, std::int64_t begin, std::int64_t end, float* m) {
    kernels().upsampling2d_backward(p, dy, dx, begin, end, m);
  });
}

}  // namespace convkit::ops
