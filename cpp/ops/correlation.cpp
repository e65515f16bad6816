#include "correlation.h"

#include <algorithm>

#include "parallel.h"

namespace convkit::ops {
namespace {

// Input rows h = phase + stride * q see the taps for which (h + pad - kh * dilation) is a multiple
// of the stride; in terms of q their gradient comes from row q + offset. Returns the tap's offset,
// or false when the tap never falls on this phase.
bool tap_offset(std::int64_t phase, std::int64_t pad, std::int64_t dilated, std::int64_t stride,
                std::int64_t* offset) {
  const std::int64_t d = phase + pad - dilated;
  if (d % stride != 0) return false;
  *offset = d / stride;
  return true;
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

void forward_taps(const ConvShape& s, const float* w, std::int64_t tap_stride, Tap* taps) {
  for (std::int64_t t = 0; t < s.kh * s.kw; ++t) {
    taps[t] = {t / s.kw * s.dilation_h - s.pad_top, t % s.kw * s.dilation_w - s.pad_left,
               w + t * tap_stride};
  }
}

Phases::Phases(const ConvShape& s) : h(std::min(s.stride_h, s.h)), w(std::min(s.stride_w, s.w)) {}

Correlation backward_correlation(const ConvShape& s, std::int64_t phase) {
  const std::int64_t phase_h = phase / Phases(s).w, phase_w = phase % Phases(s).w;
  Correlation problem = {};
  problem.n = s.n;
  problem.src_h = s.oh, problem.src_w = s.ow, problem.src_ld = s.oc;
  problem.grid_h = ceil_div(s.h - phase_h, s.stride_h);
  problem.grid_w = ceil_div(s.w - phase_w, s.stride_w);
  problem.src_step_h = 1, problem.src_step_w = 1;
  problem.out_h = s.h, problem.out_w = s.w, problem.out_ld = s.c;
  problem.out_first_h = phase_h, problem.out_first_w = phase_w;
  problem.out_step_h = s.stride_h, problem.out_step_w = s.stride_w;
  return problem;
}

std::int64_t backward_taps(const ConvShape& s, std::int64_t phase, const float* w,
                           std::int64_t tap_stride, Tap* taps) {
  const std::int64_t phase_h = phase / Phases(s).w, phase_w = phase % Phases(s).w;
  std::int64_t count = 0;
  for (std::int64_t t = 0; t < s.kh * s.kw; ++t) {
    Tap a;
    if (!tap_offset(phase_h, s.pad_top, t / s.kw * s.dilation_h, s.stride_h, &a.h)) continue;
    if (!tap_offset(phase_w, s.pad_left, t % s.kw * s.dilation_w, s.stride_w, &a.w)) continue;
    a.weights = w + t * tap_stride;
    taps[count++] = a;
  }
  return count;
}

}  // namespace convkit::ops
