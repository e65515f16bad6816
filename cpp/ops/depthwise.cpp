#include "depthwise.h"

#include <algorithm>
#include <cstring>

#include "../dispatch/cpu.h"
#include "correlation.h"
#include "pack.h"
#include "parallel.h"
#include "scratch.h"

namespace convkit::ops {
namespace {

// Output rows of a task: enough for the rows of x that two tasks share not to matter.
constexpr std::int64_t kRowsPerTask = 8;
// Channels in one task of a weight gradient: whole vectors of every kernel.
constexpr std::int64_t kChannelsPerTask = 64;

// The problem with a channel of x for each channel of y: with several kernels a channel, that of
// an image whose channels are repeated.
ConvShape repeated(const ConvShape& s) {
  ConvShape even = s;
  even.c = even.groups = s.oc;
  return even;
}

std::int64_t kernels_of_channel(const ConvShape& s) { return s.oc / s.c; }

// Floats of an image whose channels are repeated, 0 where x itself serves.
std::int64_t repeated_size(const ConvShape& s) {
  return kernels_of_channel(s) > 1 ? s.h * s.w * s.oc : 0;
}

const float* repeat_image(const ConvShape& s, const float* image, float* to) {
  if (kernels_of_channel(s) == 1) return image;
  kernels().repeat_channels(image, s.h * s.w * s.c, kernels_of_channel(s), to);
  return to;
}

std::int64_t work_of(const ConvShape& s) {
  return s.n * s.oh * s.ow * s.kh * s.kw * ceil_div(s.oc, kernels().lanes);
}

// The input gradient's correlations, of which each tap is part of exactly one.
struct InputGradient {
  ConvShape s;
  std::int64_t count;
  Correlation* phases;

  InputGradient(const ConvShape& s, const float* w, Scratch& scratch)
      : s(s), count(Phases(s).count()), phases(scratch.take<Correlation>(count)) {
    const ConvShape even = repeated(s);
    Tap* taps = scratch.take<Tap>(s.kh * s.kw);
    for (std::int64_t i = 0; i < count; ++i) {
      phases[i] = backward_correlation(even, i);
      phases[i].cols = s.oc;
      phases[i].taps = taps;
      phases[i].tap_count = backward_taps(even, i, w, s.oc, taps);
      taps += phases[i].tap_count;
    }
  }

  // One image's dx; several kernels a channel give a gradient each in scratch, repeated_size(s).
  void apply(const float* dy, float* dx, float* scratch) const {
    const std::int64_t times = kernels_of_channel(s);
    for (std::int64_t i = 0; i < count; ++i) {
      Correlation problem = phases[i];
      problem.src = dy;
      problem.out = times > 1 ? scratch : dx;
      kernels().depthwise_correlate(problem, 0, problem.grid_h);
    }
    if (times > 1) kernels().add_channels(scratch, s.h * s.w * s.c, times, dx);
  }
};

}  // namespace

// One channel is a convolution without groups, and has fast kernels as such.
bool depthwise_accepts(const ConvShape& s) { return s.groups > 1 && s.groups == s.c; }

void depthwise_forward(const ConvShape& s, const float* x, const float* w, const float* b,
                       bool relu, float* y, const BatchStatistics* statistics) {
  Scratch scratch;
  Tap* taps = scratch.take<Tap>(s.kh * s.kw);
  forward_taps(s, w, s.oc, taps);
  Correlation problem = forward_correlation(repeated(s));
  problem.src = x;
  problem.out = y;
  problem.bias = b;
  problem.relu = relu;
  problem.cols = s.oc;
  problem.taps = taps, problem.tap_count = s.kh * s.kw;
  const std::int64_t size = repeated_size(s), rows = s.n * s.oh, work = work_of(s);
  // Statistics are taken of whole images, while they are in a core's cache.
  const std::int64_t chunk = statistics || size > 0 ? s.oh : kRowsPerTask;
  const std::int64_t tasks = ceil_div(rows, chunk);
  parallel_for(tasks, work, [&](std::int64_t task) {
    if (size > 0) {
      Scratch own;
      Correlation image = problem;
      image.src = repeat_image(s, x + task * s.h * s.w * s.c, own.take(size));
      image.out = y + task * s.oh * s.ow * s.oc;
      kernels().depthwise_correlate(image, 0, s.oh);
    } else {
      kernels().depthwise_correlate(problem, task * chunk, std::min((task + 1) * chunk, rows));
    }
    if (statistics) statistics->add_images(y, task, task + 1);
  });
}

void depthwise_backward_input(const ConvShape& s, const float* dy, const float* w, float* dx) {
  Scratch scratch;
  const InputGradient gradient(s, w, scratch);
  const std::int64_t size = repeated_size(s), work = work_of(s);
  if (size > 0) {
    parallel_for(s.n, work, [&](std::int64_t n) {
      Scratch own;
      gradient.apply(dy + n * s.oh * s.ow * s.oc, dx + n * s.h * s.w * s.c, own.take(size));
    });
    return;
  }
  for (std::int64_t i = 0; i < gradient.count; ++i) {
    Correlation problem = gradient.phases[i];
    problem.src = dy;
    problem.out = dx;
    const std::int64_t vectors = ceil_div(s.c, kernels().lanes);
    parallel_ranges(s.n * problem.grid_h, kRowsPerTask,
                    problem.grid_w * std::max<std::int64_t>(problem.tap_count, 1) * vectors,
                    [&](std::int64_t begin, std::int64_t end) {
                      kernels().depthwise_correlate(problem, begin, end);
                    });
  }
}

void depthwise_backward_weights(const ConvShape& s, const float* x, const float* dy, float* dw) {
  Scratch scratch;
  const ConvShape even = repeated(s);
  const std::int64_t taps = s.kh * s.kw, size = taps * s.oc, pieces = std::min(s.n, kBatchPieces);
  const std::int64_t image_size = repeated_size(s), work = work_of(s);
  const std::int64_t channels = image_size > 0 ? s.oc : kChannelsPerTask;
  const std::int64_t blocks = ceil_div(s.oc, channels);
  float* parts = pieces == 1 ? dw : scratch.take(pieces * size);
  parallel_for(pieces * blocks, work, [&](std::int64_t task) {
    Scratch own;
    float* repeated_image = own.take(image_size);
    const std::int64_t piece = task / blocks, c = task % blocks * channels;
    const std::int64_t c_end = std::min(c + channels, s.oc);
    float* part = parts + piece * size;
    for (std::int64_t t = 0; t < taps; ++t)
      std::fill(part + t * s.oc + c, part + t * s.oc + c_end, 0.0f);
    for (std::int64_t n = piece * s.n / pieces; n < (piece + 1) * s.n / pieces; ++n) {
      const float* image = repeat_image(s, x + n * s.h * s.w * s.c, repeated_image);
      kernels().depthwise_backward_weights(even, image, dy + n * s.oh * s.ow * s.oc, part, 0, 1, c,
                                           c_end);
    }
  });
  if (pieces == 1) return;
  add_parts(parts, pieces, size);
  std::memcpy(dw, parts, static_cast<std::size_t>(size) * sizeof(float));
}

void depthwise_backward(const ConvShape& s, const float* x, const float* w,
                        const OutputGradient& output, float* dx, float* dw) {
  Scratch scratch;
  const ConvShape even = repeated(s);
  const InputGradient input(s, w, scratch);
  const std::int64_t size = s.kh * s.kw * s.oc, work = work_of(s);
  const std::int64_t image_size = repeated_size(s);
  float* parts = scratch.take(kBatchPieces * size);
  parallel_for(kBatchPieces, work, [&](std::int64_t piece) {
    Scratch own;
    float *part = parts + piece * size, *image = own.take(image_size);
    float* gradient = own.take(output.image_size());
    std::fill(part, part + size, 0.0f);
    for (std::int64_t n = piece * s.n / kBatchPieces; n < (piece + 1) * s.n / kBatchPieces; ++n) {
      const float* dy = output.load(n, n + 1, gradient);
      const std::int64_t at = n * s.h * s.w * s.c;
      if (dw) {
        kernels().depthwise_backward_weights(even, repeat_image(s, x + at, image), dy, part, 0, 1,
                                             0, s.oc);
      }
      if (dx) input.apply(dy, dx + at, image);
    }
  });
  if (!dw) return;
  add_parts(parts, kBatchPieces, size);
  std::memcpy(dw, parts, static_cast<std::size_t>(size) * sizeof(float));
}

}  // namespace convkit::ops
