#include "pool2d.h"

#include <algorithm>
#include <atomic>
#include <type_traits>

#include "../dispatch/cpu.h"
#include "parallel.h"

namespace convkit::ops {
namespace {

constexpr std::int64_t kRowsPerTask = 8;

// The first and the last index + 1 of a window's rows (or columns) that are inside the image.
struct Span {
  std::int64_t begin, end;
};

Span inside(std::int64_t first, std::int64_t kernel, std::int64_t size) {
  return {std::max<std::int64_t>(-first, 0), std::min(kernel, size - first)};
}

// The elements that one output row's windows cover, at most.
std::int64_t row_work(const PoolShape& s) {
  return product(s.ow, s.c, std::min(s.kh, s.h), std::min(s.kw, s.w));
}

// Whether `count` indices lie in [0, positions). As unsigned numbers, negative ones are large.
template <class Index>
bool all_below(const Index* indices, std::int64_t count, std::int64_t positions) {
  using Unsigned = std::make_unsigned_t<Index>;
  Unsigned largest = 0;
  for (std::int64_t i = 0; i < count; ++i)
    largest = std::max(largest, static_cast<Unsigned>(indices[i]));
  return static_cast<std::int64_t>(largest) < positions;
}

template <class Index>
bool image_indices_valid(const PoolShape& s, const Index* indices) {
  if (!all_below(indices, s.oh * s.ow * s.c, s.kh * s.kw)) return false;
  for (std::int64_t oh = 0; oh < s.oh; ++oh) {
    const Span rows = inside(oh * s.stride_h - s.pad_top, s.kh, s.h);
    for (std::int64_t ow = 0; ow < s.ow; ++ow, indices += s.c) {
      const Span columns = inside(ow * s.stride_w - s.pad_left, s.kw, s.w);
      if (rows.end - rows.begin == s.kh && columns.end - columns.begin == s.kw) continue;
      for (std::int64_t c = 0; c < s.c; ++c) {
        const std::int64_t kh = indices[c] / s.kw, kw = indices[c] % s.kw;
        const bool row_inside = kh >= rows.begin && kh < rows.end;
        if (!row_inside || kw < columns.begin || kw >= columns.end) return false;
      }
    }
  }
  return true;
}

}  // namespace

void max_pool2d_forward(const PoolShape& s, const float* x, float* y, void* indices, bool wide) {
  parallel_ranges(s.n * s.oh, kRowsPerTask, row_work(s), [&](std::int64_t begin, std::int64_t end) {
    kernels().max_pool2d_forward(s, x, y, indices, wide, begin, end);
  });
}

void max_pool2d_backward(const PoolShape& s, const float* dy, const void* indices, bool wide,
                         float* dx) {
  parallel_ranges(s.n, 1, product(s.oh, row_work(s)), [&](std::int64_t begin, std::int64_t end) {
    kernels().max_pool2d_backward(s, dy, indices, wide, dx, begin, end);
  });
}

bool max_pool2d_indices_valid(const PoolShape& s, const void* indices, bool wide) {
  std::atomic<bool> valid{true};
  const std::int64_t image = s.oh * s.ow * s.c;
  parallel_ranges(s.n, 1, product(s.oh, row_work(s)), [&](std::int64_t n, std::int64_t) {
    const bool good =
        wide ? image_indices_valid(s, static_cast<const std::int32_t*>(indices) + n * image)
             : image_indices_valid(s, static_cast<const std::uint8_t*>(indices) + n * image);
    if (!good) valid.store(false);
  });
  return valid.load();
}

PoolShape pool_of_two(const ConvShape& s) {
  PoolShape p = {};
  p.n = s.n, p.h = s.oh, p.w = s.ow, p.c = s.oc;
  p.kh = 2, p.kw = 2;
  p.oh = s.oh / 2, p.ow = s.ow / 2;
  p.stride_h = 2, p.stride_w = 2;
  return p;
}

void average_pool2d_forward(const PoolShape& s, const float* x, float* y) {
  parallel_ranges(s.n * s.oh, kRowsPerTask, row_work(s), [&](std::int64_t begin, std::int64_t end) {
    kernels().average_pool2d_forward(s, x, y, begin, end);
  });
}

void average_pool2d_backward(const PoolShape& s, const float* dy, float* dx) {
  parallel_ranges(s.n, 1, product(s.oh, row_work(s)), [&](std::int64_t begin, std::int64_t end) {
    kernels().average_pool2d_backward(s, dy, dx, begin, end);
  });
}

}  // namespace convkit::ops
