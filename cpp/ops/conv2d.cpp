#include "conv2d.h"

#include <algorithm>

#include "../dispatch/cpu.h"
#include "correlation.h"
#include "depthwise.h"
#include "output_gradient.h"
#include "pack.h"
#include "parallel.h"
#include "ranks.h"
#include "scratch.h"
#include "task_phases.h"
#include "winograd.h"

namespace convkit::ops {
namespace {

// Register tiles in one task of a correlation: enough to hide the cost of taking a task, few
// enough that a small layer still feeds many threads.
constexpr std::int64_t kTilesPerTask = 8;
// With fewer position tasks than this the columns are cut too.
constexpr std::int64_t kEnoughTasks = 16;
// Reading a vector of weights takes as long as so many multiply-adds.
constexpr std::int64_t kWeightsRead = 4;
// Input channels in one task of a weight gradient: whole register tiles of 12, 6 or 4 rows; where
// tiles have five, the last few of a task have four.
constexpr std::int64_t kChannelsPerTask = 192;
// With so many tasks a thread, those of a weight gradient are not cut finer to be even.
constexpr std::int64_t kEvenTasks = 4;

// Runs one correlation over all threads.
void run_correlation(Correlation s, const BatchStatistics* statistics = nullptr,
                     const ConvOutput* out = nullptr) {
  Scratch scratch;
  for (std::int64_t t = 0; t < s.tap_count; ++t) {
    s.first_h = std::min(s.first_h, s.taps[t].h), s.last_h = std::max(s.last_h, s.taps[t].h);
    s.first_w = std::min(s.first_w, s.taps[t].w), s.last_w = std::max(s.last_w, s.taps[t].w);
  }
  const KernelTable& kernel = kernels();
  const std::int64_t positions = s.n * s.grid_h * s.grid_w;
  // Statistics are taken of whole images, while they are in a core's cache.
  std::int64_t chunk = statistics ? s.grid_h * s.grid_w : kernel.tile_rows * kTilesPerTask;
  const bool whole = statistics || ceil_div(positions, chunk) >= kEnoughTasks;
  const std::int64_t vectors = ceil_div(s.cols, kernel.lanes);
  const std::int64_t work =
      sum(product(positions + kWeightsRead, s.tap_count, s.k, vectors), product(positions, s.cols));
  const std::int64_t threads = threads_for(kLargest, work);
  std::int64_t columns = round_up(s.cols, kernel.tile_columns);
  if (!whole) {
    // Some threads read weights once more, or do with narrow tiles, before they have nothing to do.
    const std::int64_t tiles = ceil_div(positions, kernel.tile_rows);
    columns = tiles * ceil_div(s.cols, kernel.tile_columns) < threads ? kernel.lanes
                                                                      : kernel.tile_columns;
    const std::int64_t wanted = std::min(ceil_div(threads, ceil_div(s.cols, columns)), tiles);
    chunk = even_share(positions, std::min(chunk, ceil_div(positions, wanted)));
  }
  const std::int64_t column_tasks = ceil_div(s.cols, columns);
  const std::int64_t tasks = ceil_div(positions, chunk) * column_tasks;
  const std::int64_t table_size =
      kernel.tile_rows * std::clamp<std::int64_t>(s.tap_count, 1, kTableTaps);
  parallel_for(tasks, work, [&](std::int64_t task) {
    Scratch own;
    const std::int64_t begin = task / column_tasks * chunk;
    const std::int64_t col = task % column_tasks * columns;
    const std::int64_t end = std::min(begin + chunk, positions);
    const std::int64_t col_end = std::min(col + columns, s.cols);
    kernel.correlate(s, begin, end, col, col_end, own.take<const float*>(table_size));
    if (out) out->activate_rows(begin, end, s.out_ld, col, col_end - col);
    if (statistics) statistics->add_images(s.out, task, task + 1);
  });
}

void direct_forward(const ConvShape& s, const float* x, const float* w, const float* b,
                    const ConvOutput& out, const BatchStatistics* statistics) {
  Scratch scratch;
  const std::int64_t gc = s.c / s.groups, goc = s.oc / s.groups, taps = s.kh * s.kw;
  const TapWeights weights = forward_weights(s, w, kernels().lanes, scratch);
  float* zeros = scratch.take(gc);
  std::fill(zeros, zeros + gc, 0.0f);
  Tap* tap = scratch.take<Tap>(taps);
  for (std::int64_t g = 0; g < s.groups; ++g) {
    const std::int64_t count =
        forward_taps(s, weights.data + g * weights.group_offset, weights.tap_stride, tap);
    Correlation problem = forward_correlation(s);
    problem.src = x + g * gc;
    problem.out = out.z + g * goc;
    problem.bias = b ? b + g * goc : nullptr;
    problem.residual = out.residual ? out.residual + g * goc : nullptr;
    problem.relu = out.behind.relu();
    problem.k = gc, problem.cols = goc, problem.ldw = weights.ldw;
    problem.taps = tap, problem.tap_count = count;
    problem.zeros = zeros;
    run_correlation(problem, nullptr, s.groups == 1 ? &out : nullptr);
  }
  if (s.groups > 1) out.activate_all(s.n * s.oh * s.ow * s.oc);
  if (statistics) statistics->add_all(out.y);
}

// Images as a kernel meets them: neighbouring positions are ldx floats apart.
struct Images {
  ConvShape s;
  const float* x;
  std::int64_t ldx;

  // Those from image n on.
  Images from(std::int64_t n) const { return {s, x + n * s.h * s.w * ldx, ldx}; }
};

// With few input channels a whole row of the kernel is one run of KW * C floats: on a copy of the
// images with their padding the kernel has KH x 1 positions of so many channels, which overlap
// with their neighbours', and none falls outside.
constexpr std::int64_t kMaxRun = 32;
// The copy has at most so many times the floats of the images and outputs together.
constexpr std::int64_t kMaxCopy = 4;

// Rows and columns of the copy: those that windows cover.
std::int64_t padded_height(const ConvShape& s) {
  return (s.oh - 1) * s.stride_h + (s.kh - 1) * s.dilation_h + 1;
}
std::int64_t padded_width(const ConvShape& s) { return (s.ow - 1) * s.stride_w + s.kw; }

bool thin_accepts(const ConvShape& s) {
  const bool small_run = s.kw > 1 && product(s.kw, s.c) <= kMaxRun;
  // Windows that leave gaps, or lie far outside, would make the copy larger than what it saves.
  const bool dense = s.stride_h <= s.kh && s.stride_w <= s.kw && s.pad_top < s.kh * s.dilation_h &&
                     s.pad_left < s.kw;
  if (!(s.groups == 1 && s.dilation_w == 1 && small_run && dense)) return false;
  // A long sum is made in blocks, which this way does not know.
  if (product(s.kh, s.kw, s.c) > kLongProduct) return false;
  const std::int64_t copy = product(padded_height(s), padded_width(s), s.c);
  return copy / kMaxCopy <= s.h * s.w * s.c + s.oh * s.ow * s.oc;
}

Images images_of(const ConvShape& s, const float* x, Scratch& scratch) {
  if (!thin_accepts(s)) return {s, x, s.c};
  ConvShape runs = s;
  runs.h = padded_height(s), runs.w = padded_width(s);
  runs.c = s.kw * s.c, runs.kw = 1;
  runs.pad_top = runs.pad_left = 0;
  float* padded = scratch.take(s.n, runs.h, runs.w, s.c);
  pad_images(s, x, runs.h, runs.w, padded);
  return {runs, padded, s.c};
}

void thin_forward(const ConvShape& s, const float* x, const float* w, const float* b,
                  const ConvOutput& out, const BatchStatistics* statistics) {
  Scratch scratch;
  const Images images = images_of(s, x, scratch);
  const ConvShape& runs = images.s;
  const TapWeights weights = forward_weights(runs, w, kernels().lanes, scratch);
  Tap* tap = scratch.take<Tap>(runs.kh);
  const std::int64_t count = forward_taps(runs, weights.data, weights.tap_stride, tap);
  Correlation problem = forward_correlation(runs);
  problem.src = images.x, problem.src_ld = images.ldx;
  problem.out = out.z;
  problem.bias = b;
  problem.residual = out.residual;
  problem.relu = out.behind.relu();
  problem.k = runs.c, problem.cols = s.oc, problem.ldw = weights.ldw;
  problem.taps = tap, problem.tap_count = count;
  problem.zeros = nullptr;  // no tap falls outside
  run_correlation(problem, statistics, &out);
}

void direct_backward_input(const ConvShape& s, const float* dy, const float* w, bool add_to_dx,
                           float* dx) {
  Scratch scratch;
  const std::int64_t gc = s.c / s.groups, goc = s.oc / s.groups, taps = s.kh * s.kw;
  const TapWeights weights = transposed_weights(s, w, kernels().lanes, scratch);
  float* zeros = scratch.take(goc);
  std::fill(zeros, zeros + goc, 0.0f);
  Tap* tap = scratch.take<Tap>(taps);
  const Phases phases(s, scratch);
  if (!add_to_dx && !phases.cover()) clear(s.n * s.h * s.w * s.c, dx);
  for (std::int64_t task = 0; task < s.groups * phases.count(); ++task) {
    const std::int64_t g = task / phases.count(), phase = task % phases.count();
    Correlation problem = phases.correlation(phase);
    problem.src = dy + g * goc;
    problem.out = dx + g * gc;
    problem.residual = add_to_dx ? problem.out : nullptr;
    problem.k = goc, problem.cols = gc, problem.ldw = weights.ldw;
    problem.taps = tap;
    problem.tap_count =
        phases.taps(phase, weights.data + g * weights.group_offset, weights.tap_stride, tap);
    problem.zeros = zeros;
    run_correlation(problem);
  }
}

// The blocks of channels that a weight gradient is computed in, of one group.
struct ChannelBlocks {
  std::int64_t gc, goc, o_size, c_tasks, o_tasks;

  ChannelBlocks(const ConvShape& s, bool fine)
      : gc(s.c / s.groups), goc(s.oc / s.groups), o_size((fine ? 1 : 2) * kernels().lanes) {
    c_tasks = ceil_div(gc, kChannelsPerTask);
    o_tasks = ceil_div(goc, o_size);
  }
  std::int64_t count(const ConvShape& s) const { return s.groups * c_tasks * o_tasks; }

  // part (+)= what images [n_begin, n_end) give for one block; unless add is set, it is written.
  void accumulate(const Images& images, const float* dy, float* part, bool add,
                  std::int64_t n_begin, std::int64_t n_end, std::int64_t block) const {
    const ConvShape& s = images.s;
    const std::int64_t o = block % o_tasks * o_size, o_end = std::min(o + o_size, goc);
    const std::int64_t c = block / o_tasks % c_tasks * kChannelsPerTask;
    const std::int64_t c_end = std::min(c + kChannelsPerTask, gc), g = block / (o_tasks * c_tasks);
    kernels().conv2d_backward_weights(s, images.x, images.ldx, dy, part, add, n_begin, n_end, g, c,
                                      c_end, o, o_end);
  }
};

std::int64_t weight_work(const ConvShape& s) {
  const std::int64_t vectors = ceil_div(s.oc, kernels().lanes);
  return product(s.n, s.oh, s.ow, s.kh, s.kw, s.c / s.groups, vectors);
}

void backward_weights_of(const ConvShape& s, const Images& images, const float* dy, float* dw) {
  Scratch scratch;
  const OwnPieces pieces(s.n, pieces_of(s));
  const std::int64_t tasks = pieces.count() * ChannelBlocks(images.s, false).count(s);
  const int threads = threads_for(kLargest, weight_work(s));
  const ChannelBlocks blocks(images.s, tasks < kEvenTasks * threads && leaves_idle(threads, tasks));
  const std::int64_t size = s.kh * s.kw * (s.c / s.groups) * s.oc;
  const std::int64_t count = blocks.count(s);
  float* parts = pieces.count() == 1 ? dw : scratch.take(pieces.count(), size);
  parallel_for(pieces.count() * count, weight_work(s), [&](std::int64_t task) {
    const std::int64_t piece = task / count;
    blocks.accumulate(images, dy, parts + piece * size, false, pieces.begin(piece),
                      pieces.begin(piece + 1), task % count);
  });
  add_pieces(s.n, parts, pieces.count(), size, dw);
}

void direct_backward_weights(const ConvShape& s, const float* x, const float* dy, float* dw) {
  Scratch scratch;
  backward_weights_of(s, images_of(s, x, scratch), dy, dw);
}

// The same an image at a time, where there are kBatchPieces pieces or more.
void direct_backward_by_images(const ConvShape& s, const float* x, const OutputGradient& output,
                               float* dw) {
  Scratch scratch;
  const Images images = images_of(s, x, scratch);
  const ChannelBlocks blocks(images.s, false), fine(images.s, true);
  const std::int64_t size = s.kh * s.kw * (s.c / s.groups) * s.oc, work = weight_work(s);
  const std::int64_t floats = output.image_size();
  const std::int64_t all_pieces = pieces_of(s);
  const OwnPieces pieces(s.n, all_pieces);
  float* parts = scratch.take(pieces.count(), size);
  const auto run = [=](std::int64_t piece, float* memory) {
    const std::int64_t first = pieces.begin(piece), last = pieces.begin(piece + 1);
    for (std::int64_t n = first; n < last; ++n) {
      const float* dy = output.load(n, n + 1, memory);
      for (std::int64_t block = 0; block < blocks.count(s); ++block)
        blocks.accumulate(images.from(n), dy, parts + piece * size, n > first, 0, 1, block);
    }
  };
  const int threads = threads_for(kLargest, work);
  if (threads < kSharingThreads) {
    parallel_for(pieces.count(), work, [&](Scratch& own) { return own.take(floats); }, run);
    output.add_up();
    return add_pieces(s.n, parts, pieces.count(), size, dw);
  }
  // Of the pieces that not all threads take at a time the images are loaded first, and the blocks
  // of channels are tasks.
  const std::int64_t whole = pieces.count() / threads * threads, rest = pieces.count() - whole;
  const std::int64_t first = pieces.begin(whole);
  float* loaded = scratch.take(s.n - first, floats);
  TaskPhases phases(5, scratch);
  const int by_whole = phases.add(
      whole, 1, floats, {}, [=](std::int64_t piece, auto, float* memory) { run(piece, memory); });
  const int by_images = phases.add(rest, ceil_div(whole_batch(s.n), all_pieces), 0, {},
                                   [=](std::int64_t group, std::int64_t i, auto) {
                                     const std::int64_t n = pieces.begin(whole + group) + i;
                                     if (n < pieces.begin(whole + group + 1))
                                       output.load(n, n + 1, loaded + (n - first) * floats);
                                   });
  const int by_blocks = phases.add(
      rest, fine.count(s), 0, {{by_images, true}},
      [=](std::int64_t group, std::int64_t block, auto) {
        const std::int64_t piece = whole + group, begin = pieces.begin(piece);
        for (std::int64_t n = begin; n < pieces.begin(piece + 1); ++n) {
          const float* dy =
              floats > 0 ? loaded + (n - first) * floats : output.gradient_of(n, n + 1).begin;
          fine.accumulate(images.from(n), dy, parts + piece * size, n > begin, 0, 1, block);
        }
      });
  output.add_up(phases, {{by_whole}, {by_blocks}});
  const PartsSum sum(parts, pieces.count(), size, dw);
  phases.add(1, sum.tasks(), 0, {{by_whole}, {by_blocks}},
             [=](auto, std::int64_t task, auto) { sum.run(task); });
  phases.run(work);
  output.add_up_with_ranks();
  add_over_ranks(s.n, dw, size);
}

// Whether a rank's weight gradient is the sum of its own pieces of the batch.
bool sums_by_pieces(const ConvShape& s) {
  return winograd_allowed(s) ? winograd_sums_by_pieces(s) : pieces_of(s) >= kBatchPieces;
}

bool any_shape(const ConvShape&) { return true; }

// Each direction's algorithms, best first: the first that accepts a shape runs it.
template <class Run>
struct Algorithm {
  const char* name;
  bool (*accepts)(const ConvShape&);
  Run run;
};

constexpr Algorithm<decltype(&direct_forward)> kForward[] = {
    {"winograd", winograd_allowed, winograd_forward},
    {"depthwise", depthwise_accepts, depthwise_forward},
    {"direct rows", thin_accepts, thin_forward},
    {"direct", any_shape, direct_forward},
};
constexpr Algorithm<decltype(&direct_backward_input)> kBackwardInput[] = {
    {"winograd", winograd_allowed, winograd_backward_input},
    {"depthwise", depthwise_accepts, depthwise_backward_input},
    {"direct", any_shape, direct_backward_input},
};
constexpr Algorithm<decltype(&direct_backward_weights)> kBackwardWeights[] = {
    {"winograd", winograd_allowed, winograd_backward_weights},
    {"depthwise", depthwise_accepts, depthwise_backward_weights},
    {"direct", any_shape, direct_backward_weights},
};

template <class Run, std::size_t Count>
const Algorithm<Run>& choose(const Algorithm<Run> (&list)[Count], const ConvShape& s) {
  std::size_t i = 0;
  while (!list[i].accepts(s)) ++i;  // the last accepts every shape
  return list[i];
}

}  // namespace

bool winograd_allowed(const ConvShape& s) {
  return !s.direct && !settings().direct && winograd_accepts(s);
}

const char* conv2d_algorithm(const ConvShape& s, Direction direction) {
  if (direction == Direction::kForward) return choose(kForward, s).name;
  if (direction == Direction::kBackwardInput) return choose(kBackwardInput, s).name;
  return choose(kBackwardWeights, s).name;
}

void conv2d_forward(const ConvShape& s, const float* x, const float* w, const float* b,
                    const ConvOutput& out, const BatchStatistics* statistics) {
  // Statistics by images are a task an image: too few for several threads where these are few.
  const bool by_images = s.n >= kBatchPieces;
  choose(kForward, s).run(s, x, w, b, out, by_images ? statistics : nullptr);
  if (statistics && !by_images) statistics->add_all(out.y);
}

void conv2d_backward_input(const ConvShape& s, const float* dy, const float* w, bool add_to_dx,
                           float* dx) {
  choose(kBackwardInput, s).run(s, dy, w, add_to_dx, dx);
}

void conv2d_backward_weights(const ConvShape& s, const float* x, const float* dy, float* dw) {
  const Ranks* ranks = exact_ranks_of(s.n);
  if (!ranks || sums_by_pieces(s)) return choose(kBackwardWeights, s).run(s, x, dy, dw);
  Scratch scratch;
  ConvShape whole = s;
  whole.n = ranks->samples();
  const auto [all_x, all_dy] =
      gather_batch(ranks, {{x, s.h * s.w * s.c}, {dy, s.oh * s.ow * s.oc}}, scratch);
  if (winograd_allowed(s)) return winograd_backward_weights(*ranks, whole, all_x, all_dy, dw);
  const WithoutRanks alone;
  choose(kBackwardWeights, whole).run(whole, all_x, all_dy, dw);
}

void conv2d_backward_weights_strided(const ConvShape& s, const float* x, std::int64_t ldx,
                                     const float* dy, float* dw) {
  backward_weights_of(s, {s, x, ldx}, dy, dw);
}

void conv2d_backward(const ConvShape& s, const float* x, const float* w,
                     const OutputGradient& output, bool add_to_dx, float* dx, float* dw) {
  // With enough images for all pieces of a batch, every thread takes its images all the way.
  const bool many = pieces_of(s) >= kBatchPieces;
  const bool gathers = dw && exact_ranks_of(s.n) && !sums_by_pieces(s);
  if (!gathers && (dx || dw) && winograd_allowed(s)) {
    winograd_backward(s, x, w, output, add_to_dx, dx, dw);
  } else if (!gathers && many && (dx || dw) && depthwise_accepts(s)) {
    depthwise_backward(s, x, w, output, add_to_dx, dx, dw);
  } else if (!gathers && many && dw && !dx) {
    direct_backward_by_images(s, x, output, dw);
  } else {
    Scratch scratch;
    const float* gradient = output.load_all(scratch);
    output.add_up();
    if (dw) conv2d_backward_weights(s, x, gradient, dw);
    if (dx) conv2d_backward_input(s, gradient, w, add_to_dx, dx);
  }
}

}  // namespace convkit::ops
