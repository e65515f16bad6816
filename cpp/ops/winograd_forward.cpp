#include <algorithm>

#include "../dispatch/cpu.h"
#include "kept_weights.h"
#include "winograd.h"
#include "winograd_shape.h"

namespace convkit::ops {
namespace {

// A block's transformed tiles and products, in floats: what stays in a second-level cache beside
// the transformed weights.
constexpr std::int64_t kForwardBlock = 96 * 1024;
// A statistic is taken of as many images as have this many outputs of a channel.
constexpr std::int64_t kMinStatisticsOutputs = 384;
// Many threads share the transformed weights, and blocks are small enough for each to have several.
constexpr std::int64_t kBlocksOfThread = 4;
// With fewer tiles, tasks are chunks of this many output channels: there is more to transform in
// the weights than in the images.
constexpr std::int64_t kFewTiles = 48;
constexpr std::int64_t kOutputsOfTask = 32, kFewOutputsOfTask = 16;

// Floats of n images (h, rows of `row` floats) before the last input row of tile t: what a thread
// that goes from tile to tile reads, if rows of tiles are taken to be read evenly.
std::int64_t position(const WinogradShape& a, std::int64_t t, std::int64_t h, std::int64_t row) {
  const std::int64_t n = t / (a.tiles_w * a.tiles_h), column = t % a.tiles_w;
  const TileSpan& span = a.tile_rows[t / a.tiles_w % a.tiles_h];
  const std::int64_t floats =
      (n * h + span.start + span.size + 1) * row + column * span.size * row / a.tiles_w;
  return std::min(floats, a.n * h * row);
}

// The part of the input, or of memory of its shape, that goes with tiles [begin, end).
MemoryRange inputs_of(const WinogradShape& a, const float* x, std::int64_t begin,
                      std::int64_t end) {
  const std::int64_t row = a.w * a.c;
  return {x + position(a, begin, a.h, row), x + position(a, end, a.h, row)};
}

MemoryRange outputs_of(const WinogradShape& a, const float* y, std::int64_t begin,
                       std::int64_t end) {
  const std::int64_t row = a.ow * a.oc;
  return {y + position(a, begin, a.oh, row), y + position(a, end, a.oh, row)};
}

// y = x * w, pooled 2 x 2 when there are indices. Tasks are blocks of tiles; or they are chunks of
// output channels with the whole batch, whose weights each task transforms for itself.
class Forward {
 public:
  Forward(const ConvShape& s, const float* x, const float* b, const ConvOutput& out,
          std::uint8_t* indices, Scratch& scratch)
      : s_(s), x_(x), b_(b), out_(out), indices_(indices) {
    a_ = winograd_shape(s, indices != nullptr, scratch);
    image_tiles_ = a_.tiles_h * a_.tiles_w;
    tiles_ = s.n * image_tiles_;
    work_ = vector_products(a_);
    threads_ = threads_for(kLargest, work_);
  }

  void run(const float* w, const BatchStatistics* statistics) const {
    const bool few = tiles_ < kFewTiles && a_.loc > kOutputsOfTask;
    if (!few) return run_by_tiles(w, statistics);
    run_by_channels(w);
    out_.activate_all(s_.n * s_.oh * s_.ow * s_.oc);
    if (statistics) statistics->add_all(out_.y);
  }

 private:
  // Of a thread: transformed weights, which several may share, transformed inputs and products.
  struct Memory {
    const float* u;
    float *v, *products;
  };

  bool keeps(std::int64_t weights) const {
    return s_.kept && KeptWeights::is_worth_keeping(weights);
  }

  // Statistics are taken of whole images, while they are in a core's cache.
  void run_by_tiles(const float* w, const BatchStatistics* statistics) const {
    Scratch scratch;
    const std::int64_t weights = weights_size(a_);
    const auto transform = [&](float* u) {
      parallel_ranges(a_.lc, kWeightRows, a_.points * a_.points * a_.loc,
                      [&](std::int64_t begin, std::int64_t end) {
                        kernels().winograd_weights(a_, w, s_.oc, u, begin, end);
                      });
    };
    const float* shared = nullptr;
    if (keeps(weights)) {
      shared = s_.kept->get(KeptWeights::kTransformed, weights, transform);
    } else if (weights > kOwnWeights || threads_ >= kSharingThreads) {
      float* u = scratch.take(weights);
      transform(u);
      shared = u;
    }
    const std::int64_t images =
        statistics ? std::min(ceil_div(kMinStatisticsOutputs, s_.oh * s_.ow), s_.n) : s_.n;
    std::int64_t block = tiles_of_block(a_, images * image_tiles_);
    if (threads_ >= kManyThreads)
      block = std::min(block, round_up(ceil_div(tiles_, kBlocksOfThread * threads_), 4));
    const std::int64_t span = statistics ? images * image_tiles_ : block;
    const std::int64_t tasks = ceil_div(tiles_, span);
    const auto prepare = [&](Scratch& own) {
      Memory memory = {shared, take_block(own, block, a_.lc), take_block(own, block, a_.loc)};
      if (!shared) {
        float* u = own.take(weights);
        kernels().winograd_weights(a_, w, s_.oc, u, 0, a_.lc);
        memory.u = u;
      }
      return memory;
    };
    parallel_for(tasks, work_, prepare, [&](std::int64_t task, const Memory& memory) {
      const std::int64_t end = std::min((task + 1) * span, tiles_);
      for (std::int64_t t = task * span; t < end; t += block) {
        const std::int64_t stop = std::min(t + block, end);
        const MemoryRange ahead[] = {inputs_of(a_, x_, stop, stop + block),
                                     outputs_of(a_, out_.z, t, indices_ ? t : stop)};
        kernels().winograd_inputs(a_, x_, t, stop, 0, a_.lc, memory.v);
        kernels().winograd_forward(a_, memory.v, memory.u, b_, out_.residual, out_.behind.relu(),
                                   out_.z, indices_, 0, t, stop, worth_fetching(ahead),
                                   memory.products);
        activate_tiles(t, stop);
      }
      if (statistics)
        statistics->add_images(out_.y, task * images, std::min((task + 1) * images, s_.n));
    });
  }

  void run_by_channels(const float* w) const {
    Scratch scratch;
    WinogradShape most = a_;
    // What is kept of weights is cut alike for all threads.
    const bool fine = threads_ >= kManyThreads && !s_.kept;
    most.loc =
        std::min(a_.loc, round_up(fine ? kFewOutputsOfTask : kOutputsOfTask, kernels().lanes));
    most.matrix = weights_stride(most.lc, most.loc);
    const std::int64_t tasks = ceil_div(a_.loc, most.loc), weights = weights_size(most);
    const auto part_of = [&](std::int64_t task) {
      WinogradShape part = most;
      part.loc = std::min(most.loc, a_.loc - task * most.loc);
      return part;
    };
    const auto transform = [&](std::int64_t task, float* u) {
      WinogradShape columns = part_of(task);
      columns.oc = s_.oc - task * most.loc;
      kernels().winograd_weights(columns, w + task * most.loc, s_.oc, u, 0, columns.lc);
    };
    const float* kept = nullptr;
    if (keeps(tasks * weights)) {
      kept = s_.kept->get(KeptWeights::kTransformed, tasks * weights, [&](float* u) {
        parallel_for(tasks, work_, [&](std::int64_t task) { transform(task, u + task * weights); });
      });
    }
    float* shared = nullptr;
    if (threads_ >= kSharingThreads) {
      shared = take_block(scratch, tiles_, a_.lc);
      const std::int64_t weight = tiles_ * a_.points * a_.points;
      parallel_ranges(a_.lc, kernels().lanes, weight, [&](std::int64_t begin, std::int64_t end) {
        kernels().winograd_inputs(a_, x_, 0, tiles_, begin, end, shared);
      });
    }
    struct OwnMemory {
      float *u, *v, *products;
    };
    const auto prepare = [&](Scratch& own) {
      const OwnMemory memory = {kept ? nullptr : own.take(weights),
                                shared ? shared : take_block(own, tiles_, a_.lc),
                                take_block(own, tiles_, most.loc)};
      if (!shared) kernels().winograd_inputs(a_, x_, 0, tiles_, 0, a_.lc, memory.v);
      return memory;
    };
    parallel_for(tasks, work_, prepare, [&](std::int64_t task, const OwnMemory& memory) {
      const auto [own, v, products] = memory;
      if (!kept) transform(task, own);
      const float* u = kept ? kept + task * weights : own;
      const std::int64_t first = task * most.loc;
      const WinogradShape part = part_of(task);
      const MemoryRange nothing[2] = {};
      kernels().winograd_forward(part, v, u, b_, out_.residual, out_.behind.relu(), out_.z,
                                 indices_, first, 0, tiles_, nothing, products);
    });
  }

  // The activation of tiles [begin, end): rows of pixels of neighbouring tiles are one piece.
  void activate_tiles(std::int64_t begin, std::int64_t end) const {
    if (!out_.behind.apart()) return;
    for (std::int64_t t = begin; t < end;) {
      const std::int64_t row = t / a_.tiles_w, last = std::min(end, (row + 1) * a_.tiles_w) - 1;
      const TileSpan& from = a_.tile_columns[t % a_.tiles_w];
      const TileSpan& to = a_.tile_columns[last % a_.tiles_w];
      const TileSpan& rows = a_.tile_rows[row % a_.tiles_h];
      const std::int64_t top = row / a_.tiles_h * s_.oh + rows.start;
      for (std::int64_t h = top; h < top + rows.size; ++h)
        out_.activate((h * s_.ow + from.start) * s_.oc, (to.start + to.size - from.start) * s_.oc);
      t = last + 1;
    }
  }

  // Each output is computed alone, so its bits do not depend on how the tiles are cut.
  static std::int64_t tiles_of_block(const WinogradShape& a, std::int64_t tiles) {
    const std::int64_t most =
        std::max<std::int64_t>(kForwardBlock / (a.points * a.points * (a.lc + a.loc)), 8);
    return round_up(even_share(tiles, most), 4);
  }

  float* take_block(Scratch& own, std::int64_t tiles, std::int64_t channels) const {
    return own.take(kernels().winograd_block_size(a_, tiles, channels));
  }

  ConvShape s_;
  const float *x_, *b_;
  ConvOutput out_;
  std::uint8_t* indices_;
  WinogradShape a_;
  std::int64_t image_tiles_, tiles_, work_;
  int threads_;
};

}  // namespace

void winograd_forward(const ConvShape& s, const float* x, const float* w, const float* b,
                      const ConvOutput& out, const BatchStatistics* statistics) {
  Scratch scratch;
  Forward(s, x, b, out, nullptr, scratch).run(w, statistics);
}

void winograd_max_pool_forward(const ConvShape& s, const float* x, const float* w, const float* b,
                               bool relu, float* y, std::uint8_t* indices) {
  Scratch scratch;
  Forward(s, x, b, {y, Epilogue::relu_if(relu)}, indices, scratch).run(w, nullptr);
}

}  // namespace convkit::ops
