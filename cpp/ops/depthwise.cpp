#include "depthwise.h"

#include <algorithm>

#include "../dispatch/cpu.h"
#include "correlation.h"
#include "pack.h"
#include "parallel.h"
#include "ranks.h"
#include "scratch.h"

namespace convkit::ops {
namespace {

// Output rows of a task: enough for the rows of x that two tasks share not to matter.
constexpr std::int64_t kRowsPerTask = 8;
// Every thread's repeated image has at most so many times the floats of an image and its output.
constexpr std::int64_t kMaxCopy = 4;
// Rows that are added up one by one in a weight gradient; else those of an image are summed first.
constexpr std::int64_t kLongRows = 1024;
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
  return product(s.n, s.oh, s.ow, s.kh, s.kw, ceil_div(s.oc, kernels().lanes));
}

// The input gradient's correlations, of which each tap is part of exactly one. What they keep is at
// most 40 bytes a tap, ten times a channel's weights.
struct InputGradient {
  ConvShape s;
  Phases phases;
  Tap* taps;
  std::int64_t* first;  // tap of each phase, and of one more

  InputGradient(const ConvShape& s, const float* w, Scratch& scratch)
      : s(s),
        phases(repeated(s), scratch),
        taps(scratch.take<Tap>(s.kh, s.kw)),
        first(scratch.take<std::int64_t>(phases.count() + 1)) {
    first[0] = 0;
    for (std::int64_t i = 0; i < phases.count(); ++i)
      first[i + 1] = first[i] + phases.taps(i, w, s.oc, taps + first[i]);
  }

  Correlation correlation(std::int64_t i) const {
    Correlation problem = phases.correlation(i);
    problem.cols = s.oc;
    problem.taps = taps + first[i];
    problem.tap_count = first[i + 1] - first[i];
    return problem;
  }

  // One image's dx; several kernels a channel give a gradient each in scratch, repeated_size(s).
  void apply(const float* dy, bool add_to_dx, float* dx, float* scratch) const {
    const std::int64_t times = kernels_of_channel(s);
    float* out = times > 1 ? scratch : dx;
    const bool add = add_to_dx && times == 1;
    if (!add && !phases.cover()) std::fill(out, out + s.h * s.w * s.oc, 0.0f);
    for (std::int64_t i = 0; i < phases.count(); ++i) {
      Correlation problem = correlation(i);
      problem.src = dy;
      problem.out = out;
      problem.residual = add ? out : nullptr;
      kernels().depthwise_correlate(problem, 0, problem.grid_h);
    }
    if (times > 1) kernels().add_channels(scratch, s.h * s.w * s.c, times, add_to_dx, dx);
  }
};

// Whether each image's weight gradient is summed before it is added to those of its piece.
bool by_images(const ConvShape& s, std::int64_t pieces) {
  return product(s.oh, ceil_div(whole_batch(s.n), pieces)) > kLongRows;
}

// part += what one image gives for channels [c, c_end); by way of `own` where that is not null.
void add_image(const ConvShape& even, const float* image, const float* dy, float* part, float* own,
               std::int64_t c, std::int64_t c_end) {
  const std::int64_t size = even.kh * even.kw * even.c;
  if (!own) return kernels().depthwise_backward_weights(even, image, dy, part, 0, 1, c, c_end);
  for (std::int64_t t = 0; t < size; t += even.c) std::fill(own + t + c, own + t + c_end, 0.0f);
  kernels().depthwise_backward_weights(even, image, dy, own, 0, 1, c, c_end);
  for (std::int64_t t = 0; t < size; t += even.c)
    for (std::int64_t j = t + c; j < t + c_end; ++j) part[j] += own[j];
}

}  // namespace

// One channel is a convolution without groups, and has fast kernels as such.
bool depthwise_accepts(const ConvShape& s) {
  if (s.groups == 1 || s.groups != s.c) return false;
  // A long sum is made in blocks, which this way does not know.
  if (product(s.kh, s.kw) > kLongProduct) return false;
  return repeated_size(s) / kMaxCopy <= s.h * s.w * s.c + s.oh * s.ow * s.oc;
}

void depthwise_forward(const ConvShape& s, const float* x, const float* w, const float* b,
                       const ConvOutput& out, const BatchStatistics* statistics) {
  Scratch scratch;
  Tap* taps = scratch.take<Tap>(s.kh, s.kw);
  const std::int64_t count = forward_taps(s, w, s.oc, taps);
  Correlation problem = forward_correlation(repeated(s));
  problem.src = x;
  problem.out = out.z;
  problem.bias = b;
  problem.residual = out.residual;
  problem.relu = out.behind.relu();
  problem.cols = s.oc;
  problem.taps = taps, problem.tap_count = count;
  const std::int64_t size = repeated_size(s), rows = s.n * s.oh, work = work_of(s);
  // Statistics are taken of whole images, while they are in a core's cache.
  const std::int64_t chunk = statistics || size > 0 ? s.oh : kRowsPerTask;
  const std::int64_t tasks = ceil_div(rows, chunk);
  parallel_for(tasks, work, [&](std::int64_t task) {
    if (size > 0) {
      Scratch own;
      Correlation image = problem;
      image.src = repeat_image(s, x + task * s.h * s.w * s.c, own.take(size));
      const std::int64_t at = task * s.oh * s.ow * s.oc;
      image.out = out.z + at;
      image.residual = out.residual ? out.residual + at : nullptr;
      kernels().depthwise_correlate(image, 0, s.oh);
      out.activate(at, s.oh * s.ow * s.oc);
    } else {
      const std::int64_t begin = task * chunk, end = std::min(begin + chunk, rows);
      kernels().depthwise_correlate(problem, begin, end);
      out.activate(begin * s.ow * s.oc, (end - begin) * s.ow * s.oc);
    }
    if (statistics) statistics->add_images(out.y, task, task + 1);
  });
}

void depthwise_backward_input(const ConvShape& s, const float* dy, const float* w, bool add_to_dx,
                              float* dx) {
  Scratch scratch;
  const InputGradient gradient(s, w, scratch);
  const std::int64_t size = repeated_size(s), work = work_of(s);
  if (size > 0) {
    parallel_for(s.n, work, [&](std::int64_t n) {
      Scratch own;
      gradient.apply(dy + n * s.oh * s.ow * s.oc, add_to_dx, dx + n * s.h * s.w * s.c,
                     own.take(size));
    });
    return;
  }
  if (!add_to_dx && !gradient.phases.cover()) clear(s.n * s.h * s.w * s.c, dx);
  for (std::int64_t i = 0; i < gradient.phases.count(); ++i) {
    Correlation problem = gradient.correlation(i);
    problem.src = dy;
    problem.out = dx;
    problem.residual = add_to_dx ? dx : nullptr;
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
  const std::int64_t taps = s.kh * s.kw, size = taps * s.oc, all_pieces = pieces_of(s);
  const OwnPieces pieces(s.n, all_pieces);
  const std::int64_t image_size = repeated_size(s), work = work_of(s);
  const std::int64_t channels = image_size > 0 ? s.oc : kChannelsPerTask;
  const std::int64_t blocks = ceil_div(s.oc, channels);
  float* parts = pieces.count() == 1 ? dw : scratch.take(pieces.count(), size);
  parallel_for(pieces.count() * blocks, work, [&](std::int64_t task) {
    Scratch own;
    float* repeated_image = own.take(image_size);
    float* sums = by_images(s, all_pieces) ? own.take(size) : nullptr;
    const std::int64_t piece = task / blocks, c = task % blocks * channels;
    const std::int64_t c_end = std::min(c + channels, s.oc);
    float* part = parts + piece * size;
    for (std::int64_t t = 0; t < taps; ++t)
      std::fill(part + t * s.oc + c, part + t * s.oc + c_end, 0.0f);
    for (std::int64_t n = pieces.begin(piece); n < pieces.begin(piece + 1); ++n) {
      const float* image = repeat_image(s, x + n * s.h * s.w * s.c, repeated_image);
      add_image(even, image, dy + n * s.oh * s.ow * s.oc, part, sums, c, c_end);
    }
  });
  add_pieces(s.n, parts, pieces.count(), size, dw);
}

void depthwise_backward(const ConvShape& s, const float* x, const float* w,
                        const OutputGradient& output, bool add_to_dx, float* dx, float* dw) {
  Scratch scratch;
  const ConvShape even = repeated(s);
  const InputGradient input(s, w, scratch);
  const std::int64_t size = s.kh * s.kw * s.oc, work = work_of(s);
  const std::int64_t image_size = repeated_size(s);
  const std::int64_t all_pieces = pieces_of(s);
  const OwnPieces pieces(s.n, all_pieces);
  float* parts = scratch.take(pieces.count(), size);
  parallel_for(pieces.count(), work, [&](std::int64_t piece) {
    Scratch own;
    float *part = parts + piece * size, *image = own.take(image_size);
    float* gradient = own.take(output.image_size());
    float* sums = by_images(s, all_pieces) ? own.take(size) : nullptr;
    std::fill(part, part + size, 0.0f);
    for (std::int64_t n = pieces.begin(piece); n < pieces.begin(piece + 1); ++n) {
      const float* dy = output.load(n, n + 1, gradient);
      const std::int64_t at = n * s.h * s.w * s.c;
      if (dw) add_image(even, repeat_image(s, x + at, image), dy, part, sums, 0, s.oc);
      if (dx) input.apply(dy, add_to_dx, dx + at, image);
    }
  });
  output.add_up();
  if (!dw) return;
  add_pieces(s.n, parts, pieces.count(), size, dw);
}

}  // namespace convkit::ops
