#include "correlation.h"

#include <algorithm>
#include <numeric>

#include "parallel.h"

namespace convkit::ops {
namespace {

// Whether positions from `offset` on, `step` apart and `count` of them, have one in [0, size).
bool reaches(std::int64_t offset, std::int64_t step, std::int64_t count, std::int64_t size) {
  const std::int64_t first = offset < 0 ? ceil_div(-offset, step) : 0;
  return first < count && offset + first * step < size;
}

// Input rows h = phase + stride * q see the taps for which (h + pad - kh * dilation) is a multiple
// of the stride; in terms of q their gradient comes from row q + offset of `size`. Returns the
// tap's offset, or false when the tap never falls on this phase or always beside the gradient.
bool tap_offset(std::int64_t phase, std::int64_t pad, std::int64_t dilated, std::int64_t stride,
                std::int64_t grid, std::int64_t size, std::int64_t* offset) {
  const std::int64_t d = phase + pad - dilated;
  if (d % stride != 0) return false;
  *offset = d / stride;
  return reaches(*offset, 1, grid, size);
}

}  // namespace

Correlation forward_correlation(const ConvShape& s) {
  Correlation problem = {};
  problem.n = s.n;
  problem.src_h = s.h, problem.src_w = s.w, problem.src_ld = s.c;
  problem.grid_h = s.oh, problem.grid_w = s.ow;
  problem.src_step_h = s.stride_h, problem.src_step_w = s.stride_w;
  problem.out_h = s.oh, problem.out_w = s.ow, problem.out_ld = s.oc;
  problem.out_step_h = 1, problem.out_step_w = 1;
  return problem;
}

std::int64_t forward_taps(const ConvShape& s, const float* w, std::int64_t tap_stride, Tap* taps) {
  std::int64_t count = 0;
  for (std::int64_t kh = 0; kh < s.kh; ++kh) {
    const std::int64_t h = kh * s.dilation_h - s.pad_top;
    if (!reaches(h, s.stride_h, s.oh, s.h)) continue;
    for (std::int64_t kw = 0; kw < s.kw; ++kw) {
      const std::int64_t offset = kw * s.dilation_w - s.pad_left;
      if (reaches(offset, s.stride_w, s.ow, s.w))
        taps[count++] = {h, offset, w + (kh * s.kw + kw) * tap_stride};
    }
  }
  return count;
}

Phases::Phases(const ConvShape& s, Scratch& scratch)
    : s_(s),
      rows_(axis(s.h, s.kh, s.stride_h, s.dilation_h, s.pad_top, scratch)),
      columns_(axis(s.w, s.kw, s.stride_w, s.dilation_w, s.pad_left, scratch)) {}

Phases::Axis Phases::axis(std::int64_t size, std::int64_t kernel, std::int64_t stride,
                          std::int64_t dilation, std::int64_t pad, Scratch& scratch) {
  const std::int64_t all = std::min(stride, size);
  if (kernel >= all) {
    // All of them: whether taps fall on each matters little.
    std::int64_t* phases = scratch.take<std::int64_t>(all);
    std::iota(phases, phases + all, 0);
    return {phases, all, true};
  }
  std::int64_t* phases = scratch.take<std::int64_t>(kernel);
  std::int64_t count = 0;
  for (std::int64_t k = 0; k < kernel; ++k) {
    const std::int64_t left = (k * dilation - pad) % stride,
                       phase = left < 0 ? left + stride : left;
    if (phase < all) phases[count++] = phase;
  }
  std::sort(phases, phases + count);
  count = std::unique(phases, phases + count) - phases;
  return {phases, count, count == all};
}

Correlation Phases::correlation(std::int64_t i) const {
  const std::int64_t h = rows_.phases[i / columns_.count], w = columns_.phases[i % columns_.count];
  Correlation problem = {};
  problem.n = s_.n;
  problem.src_h = s_.oh, problem.src_w = s_.ow, problem.src_ld = s_.oc;
  problem.grid_h = ceil_div(s_.h - h, s_.stride_h);
  problem.grid_w = ceil_div(s_.w - w, s_.stride_w);
  problem.src_step_h = 1, problem.src_step_w = 1;
  problem.out_h = s_.h, problem.out_w = s_.w, problem.out_ld = s_.c;
  problem.out_first_h = h, problem.out_first_w = w;
  problem.out_step_h = s_.stride_h, problem.out_step_w = s_.stride_w;
  return problem;
}

std::int64_t Phases::taps(std::int64_t i, const float* w, std::int64_t tap_stride,
                          Tap* taps) const {
  const Correlation at = correlation(i);
  std::int64_t count = 0;
  for (std::int64_t kh = 0; kh < s_.kh; ++kh) {
    Tap a;
    if (!tap_offset(at.out_first_h, s_.pad_top, kh * s_.dilation_h, s_.stride_h, at.grid_h,
                    at.src_h, &a.h))
      continue;
    for (std::int64_t kw = 0; kw < s_.kw; ++kw) {
      if (!tap_offset(at.out_first_w, s_.pad_left, kw * s_.dilation_w, s_.stride_w, at.grid_w,
                      at.src_w, &a.w))
        continue;
      a.weights = w + (kh * s_.kw + kw) * tap_stride;
      taps[count++] = a;
    }
  }
  return count;
}

}  // namespace convkit::ops
