#include <algorithm>

#include "../dispatch/cpu.h"
#include "kept_weights.h"
#include "task_phases.h"
#include "winograd.h"
#include "winograd_shape.h"

namespace convkit::ops {
namespace {

// A block's transformed tiles and products, in floats: what stays in a second-level cache beside
// the transformed weights.
constexpr std::int64_t kForwardBlock = 96 * 1024;
// A statistic is taken of as many images as have this many outputs of a channel.
constexpr std::int64_t kMinStatisticsOutputs = 384;
// What not all threads take at a time is cut into about so many parts for each.
constexpr std::int64_t kPartsOfThread = 2;
// With fewer tiles, of a batch or a thread, tasks are chunks of this many output channels: there is
// more to transform in the weights than in the images, or more of them to read.
constexpr std::int64_t kFewTiles = 48, kFewOfThread = 8;
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
    const std::int64_t most = statistics ? kFewTiles : std::max(kFewTiles, kFewOfThread * threads_);
    const bool few = tiles_ < most && a_.loc > kOutputsOfTask && !keeps(weights_size(a_));
    if (!few) return run_by_tiles(w, statistics);
    run_by_channels(w);
    out_.activate_all(s_.n * s_.oh * s_.ow * s_.oc);
    if (statistics) statistics->add_all(out_.y);
  }

 private:
  bool keeps(std::int64_t weights) const {
    return s_.kept && KeptWeights::is_worth_keeping(weights);
  }

  // Statistics are taken of whole images, while they are in a core's cache.
  void run_by_tiles(const float* w, const BatchStatistics* statistics) const {
    Scratch scratch;
    const std::int64_t weights = weights_size(a_), rows = ceil_div(a_.lc, kWeightRows);
    const auto transform = [=](std::int64_t task, float* u) {
      const std::int64_t begin = task * kWeightRows;
      kernels().winograd_weights(a_, w, s_.oc, u, begin, std::min(begin + kWeightRows, a_.lc));
    };
    const std::int64_t images =
        statistics ? std::min(ceil_div(kMinStatisticsOutputs, s_.oh * s_.ow), s_.n) : s_.n;
    std::int64_t block = tiles_of_block(a_, images * image_tiles_);
    // Of few tiles a thread takes the part of an image that it took of the layer before.
    const std::int64_t tile_rows = tiles_ / a_.tiles_w;
    if (keeps(weights) && tile_rows >= threads_ && ceil_div(tiles_, block) < threads_)
      block = ceil_div(tile_rows, threads_) * a_.tiles_w;
    const std::int64_t span = statistics ? images * image_tiles_ : block;
    const std::int64_t tasks = ceil_div(tiles_, span);
    // Of tiles [begin, end), `block` at a time, in memory for so many.
    const auto run = [=](std::int64_t begin, std::int64_t end, const float* u, float* memory) {
      float* products = memory + block_size(block, a_.lc);
      for (std::int64_t t = begin; t < end; t += block) {
        const std::int64_t stop = std::min(t + block, end);
        const MemoryRange ahead[] = {inputs_of(a_, x_, stop, stop + block),
                                     outputs_of(a_, out_.z, t, indices_ ? t : stop)};
        kernels().winograd_inputs(a_, x_, t, stop, 0, a_.lc, memory);
        kernels().winograd_forward(a_, memory, u, b_, out_.residual, out_.behind.relu(), out_.z,
                                   indices_, 0, t, stop, worth_fetching(ahead), products);
        activate_tiles(t, stop);
      }
    };
    const auto add = [=](std::int64_t task) {
      if (statistics)
        statistics->add_images(out_.y, task * images, std::min((task + 1) * images, s_.n));
    };
    const auto run_span = [=](std::int64_t task, const float* u, float* memory) {
      run(task * span, std::min((task + 1) * span, tiles_), u, memory);
      add(task);
    };
    const std::int64_t memory = block_size(block, a_.lc) + block_size(block, a_.loc);
    const auto transform_all = [&](float* u) {
      parallel_for(rows, weights, [&](std::int64_t task) { transform(task, u); });
    };
    const float* kept =
        keeps(weights) ? s_.kept->get(KeptWeights::kTransformed, weights, transform_all) : nullptr;
    if (threads_ < kSharingThreads) {
      const float* shared = kept;
      if (!kept && weights > kOwnWeights) {
        float* u = scratch.take(weights);
        transform_all(u);
        shared = u;
      }
      struct Memory {
        const float* u;
        float* others;
      };
      const auto prepare = [&](Scratch& own) {
        if (shared) return Memory{shared, own.take(memory)};
        float* u = own.take(weights);
        kernels().winograd_weights(a_, w, s_.oc, u, 0, a_.lc);
        return Memory{u, own.take(memory)};
      };
      return parallel_for(tasks, work_, prepare, [&](std::int64_t task, const Memory& own) {
        run_span(task, own.u, own.others);
      });
    }
    TaskPhases phases(4, scratch);
    const float* u = kept;
    int by_weights = -1;
    if (!kept) {
      float* to = scratch.take(weights);
      by_weights =
          phases.add(1, rows, 0, {}, [=](auto, std::int64_t task, auto) { transform(task, to); });
      u = to;
    }
    // Of as many spans as all threads take at a time nobody waits for the last one.
    const std::int64_t whole = tasks / threads_ * threads_;
    if (whole > 0)
      phases.add(whole, 1, memory, {{by_weights}},
                 [=](std::int64_t task, auto, float* own) { run_span(task, u, own); });
    if (whole < tasks) {
      const std::int64_t rest = tasks - whole;
      const std::int64_t part =
          round_up(ceil_div(span, ceil_div(kPartsOfThread * threads_, rest)), 4);
      const int by_tiles =
          phases.add(rest, ceil_div(span, part), memory, {{by_weights}},
                     [=](std::int64_t group, std::int64_t i, float* own) {
                       const std::int64_t first = (whole + group) * span, begin = first + i * part;
                       run(begin, std::min({begin + part, first + span, tiles_}), u, own);
                     });
      if (statistics)
        phases.add(rest, 1, 0, {{by_tiles, true}},
                   [=](std::int64_t group, auto, auto) { add(whole + group); });
    }
    phases.run(work_);
  }

  void run_by_channels(const float* w) const {
    Scratch scratch;
    WinogradShape most = a_;
    const bool fine = threads_ >= kManyThreads;
    most.loc =
        std::min(a_.loc, round_up(fine ? kFewOutputsOfTask : kOutputsOfTask, kernels().lanes));
    most.matrix = weights_stride(most.lc, most.loc);
    const std::int64_t tasks = ceil_div(a_.loc, most.loc), weights = weights_size(most);
    const auto part_of = [=](std::int64_t task) {
      WinogradShape part = most;
      part.loc = std::min(most.loc, a_.loc - task * most.loc);
      return part;
    };
    const auto transform = [=](std::int64_t task, std::int64_t begin, std::int64_t end, float* u) {
      WinogradShape columns = part_of(task);
      columns.oc = s_.oc - task * most.loc;
      kernels().winograd_weights(columns, w + task * most.loc, s_.oc, u, begin, end);
    };
    const auto run = [=](std::int64_t task, std::int64_t begin, std::int64_t end, const float* v,
                         const float* u, float* products) {
      const MemoryRange nothing[2] = {};
      kernels().winograd_forward(part_of(task), v, u, b_, out_.residual, out_.behind.relu(), out_.z,
                                 indices_, task * most.loc, begin, end, nothing, products);
    };
    const std::int64_t v_size = block_size(tiles_, a_.lc);
    const std::int64_t products_size = block_size(tiles_, most.loc);
    if (threads_ < kSharingThreads) {
      struct Memory {
        float *u, *v, *products;
      };
      const auto prepare = [&](Scratch& own) {
        const Memory memory = {own.take(weights), own.take(v_size), own.take(products_size)};
        kernels().winograd_inputs(a_, x_, 0, tiles_, 0, a_.lc, memory.v);
        return memory;
      };
      return parallel_for(tasks, work_, prepare, [&](std::int64_t task, const Memory& own) {
        transform(task, 0, a_.lc, own.u);
        run(task, 0, tiles_, own.v, own.u, own.products);
      });
    }
    // Tasks that leave threads without work in the end are cut into parts of their weights' rows,
    // and then of the tiles.
    const std::int64_t parts =
        tasks % threads_ == 0 ? 1 : ceil_div(kPartsOfThread * threads_, tasks);
    const std::int64_t size = ceil_div(tiles_, parts), cuts = ceil_div(tiles_, size);
    const std::int64_t rows = ceil_div(a_.lc, parts), row_cuts = ceil_div(a_.lc, rows);
    TaskPhases phases(3, scratch);
    float* v = scratch.take(cuts, block_size(size, a_.lc));
    float* u = parts == 1 ? nullptr : scratch.take(tasks, weights);
    const std::int64_t lanes = kernels().lanes;
    const auto v_of = [=](std::int64_t i) { return v + i * block_size(size, a_.lc); };
    const int by_inputs =
        phases.add(cuts, a_.lc / lanes, 0, {}, [=](std::int64_t cut, std::int64_t i, auto) {
          kernels().winograd_inputs(a_, x_, cut * size, std::min((cut + 1) * size, tiles_),
                                    i * lanes, (i + 1) * lanes, v_of(cut));
        });
    int by_weights = -1;
    if (u)
      by_weights = phases.add(tasks, row_cuts, 0, {}, [=](std::int64_t task, std::int64_t i, auto) {
        transform(task, i * rows, std::min((i + 1) * rows, a_.lc), u + task * weights);
      });
    phases.add(tasks, cuts, weights + products_size, {{by_inputs}, {by_weights, true}},
               [=](std::int64_t task, std::int64_t cut, float* own) {
                 if (!u) transform(task, 0, a_.lc, own);
                 run(task, cut * size, std::min((cut + 1) * size, tiles_), v_of(cut),
                     u ? u + task * weights : own, own + weights);
               });
    phases.run(work_);
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

  // Floats of a block of tiles with so many channels.
  std::int64_t block_size(std::int64_t tiles, std::int64_t channels) const {
    return kernels().winograd_block_size(a_, tiles, channels);
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
