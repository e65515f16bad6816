#include "winograd.h"

#include <algorithm>
#include <optional>

#include "../dispatch/cpu.h"
#include "pack.h"
#include "parallel.h"

namespace convkit::ops {
namespace {

constexpr std::int64_t kPoints = 36;
constexpr std::int64_t kLine = 16;  // floats
// With fewer channels the transforms cost more than the products that they save.
constexpr std::int64_t kMinChannels = 16;
// With fewer tiles, transforming the weights costs more than the products save.
constexpr std::int64_t kMinTiles = 24;
// A block's transformed tiles and products, in floats: what stays in a second-level cache beside
// the transformed weights.
constexpr std::int64_t kForwardBlock = 96 * 1024;
constexpr std::int64_t kGradientBlock = 128 * 1024;
// Each block of a weight gradient reads and writes all of the transformed gradient: it must hold
// enough tiles to be worth that.
constexpr std::int64_t kMinGradientTiles = 32;
// A weight gradient is summed over this many pieces of the batch; fewer when it is large.
constexpr std::int64_t kPieces = 8;
constexpr std::int64_t kPiecesOfLarge = 4;
constexpr std::int64_t kLargeGradient = 256 * 1024;

// The spans of 4, 3 and 2 that make up n >= 2 outputs with the fewest points.
std::int64_t cut(std::int64_t n, TileSpan* spans) {
  const std::int64_t fours = n % 4 == 1 ? n / 4 - 1 : n / 4;
  std::int64_t count = 0;
  std::int32_t start = 0;
  const auto push = [&](std::int32_t size) {
    spans[count++] = {start, size};
    start += size;
  };
  for (std::int64_t i = 0; i < fours; ++i) push(4);
  if (n % 4 == 1) push(3);
  if (n % 4 == 3) push(3);
  if (n % 4 == 1 || n % 4 == 2) push(2);
  return count;
}

WinogradShape winograd_shape(const ConvShape& s, std::int64_t lanes, Scratch& scratch) {
  WinogradShape a = {};
  a.n = s.n, a.h = s.h, a.w = s.w, a.c = s.c;
  a.oh = s.oh, a.ow = s.ow, a.oc = s.oc;
  a.pad_top = s.pad_top, a.pad_left = s.pad_left;
  TileSpan* rows = scratch.take<TileSpan>(s.oh / 4 + 2);
  TileSpan* columns = scratch.take<TileSpan>(s.ow / 4 + 2);
  a.tiles_h = cut(s.oh, rows);
  a.tiles_w = cut(s.ow, columns);
  a.tile_rows = rows;
  a.tile_columns = columns;
  a.lc = round_up(s.c, lanes);
  a.loc = round_up(s.oc, lanes);
  // Not a power of two: all points of one weight would share a few sets of a cache.
  a.matrix = a.lc * a.loc + kLine;
  return a;
}

std::int64_t tile_count(const WinogradShape& a) { return a.n * a.tiles_h * a.tiles_w; }

// Vector operations of a convolution's products.
std::int64_t vector_products(const WinogradShape& a) {
  return tile_count(a) * kPoints * a.lc * a.loc / kernels().lanes;
}

// The input gradient as a forward convolution of dy with the transposed, turned kernel.
ConvShape gradient_shape(const ConvShape& s) {
  ConvShape g = s;
  g.h = s.oh, g.w = s.ow, g.c = s.oc;
  g.oh = s.h, g.ow = s.w, g.oc = s.c;
  g.pad_top = 2 - s.pad_top, g.pad_left = 2 - s.pad_left;
  return g;
}

// Floats of n images (h, rows of `row` floats) before the last input row of tile t: what a thread
// that goes from tile to tile reads, if rows of tiles are taken to be read evenly.
std::int64_t position(const WinogradShape& a, std::int64_t t, std::int64_t h, std::int64_t row) {
  const std::int64_t n = t / (a.tiles_w * a.tiles_h), column = t % a.tiles_w;
  const TileSpan& span = a.tile_rows[t / a.tiles_w % a.tiles_h];
  const std::int64_t floats = (n * h + span.start + 5) * row + column * span.size * row / a.tiles_w;
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

// The part of a range that goes with steps [begin, end) of total.
MemoryRange slice(const MemoryRange& range, std::int64_t begin, std::int64_t end,
                  std::int64_t total) {
  const std::int64_t size = range.end - range.begin;
  return {range.begin + size * begin / total, range.begin + size * std::min(end, total) / total};
}

// [0, total) in nearly even pieces of at most `most`: the size of all but the last.
std::int64_t even_share(std::int64_t total, std::int64_t most) {
  return ceil_div(total, ceil_div(total, most));
}

// Images whose tiles together are worth a block.
std::int64_t images_together(const ConvShape& s) {
  return std::min(ceil_div(kMinGradientTiles, ceil_div(s.oh, 4) * ceil_div(s.ow, 4)), s.n);
}

// y = x * w, with its weights transformed once.
struct Forward {
  WinogradShape a;
  const float* u;
  std::int64_t tiles;       // in a block
  std::int64_t block_size;  // floats

  // Weights are (9, c, ldw), turned when flip is set; tiles are cut for `images` images at a time.
  Forward(const ConvShape& s, const float* w, std::int64_t ldw, bool flip, std::int64_t images,
          Scratch& scratch)
      : a(winograd_shape(s, kernels().lanes, scratch)) {
    float* transformed = scratch.take(kPoints * a.matrix);
    parallel_ranges(a.lc, 4, kPoints * a.loc, [&](std::int64_t begin, std::int64_t end) {
      kernels().winograd_weights(a, w, ldw, flip, transformed, begin, end);
    });
    u = transformed;
    const std::int64_t most = std::max<std::int64_t>(kForwardBlock / (kPoints * (a.lc + a.loc)), 8);
    // Each output is computed alone, so its bits do not depend on how the tiles are cut.
    tiles = round_up(even_share(images * a.tiles_h * a.tiles_w, most), 4);
    block_size = kernels().winograd_block_size(a, tiles);
  }
};

// y = x * w for weights (9, c, ldw), turned when flip is set; pooled 2 x 2 when there are indices.
// Statistics are taken of whole images, while they are in a core's cache.
void run_forward(const ConvShape& s, const float* x, const float* w, std::int64_t ldw, bool flip,
                 const float* b, bool relu, float* y, std::uint8_t* indices,
                 const BatchStatistics* statistics) {
  Scratch scratch;
  const std::int64_t images = statistics ? images_together(s) : s.n;
  const Forward forward(s, w, ldw, flip, images, scratch);
  const WinogradShape& a = forward.a;
  const std::int64_t total = tile_count(a), tiles = forward.tiles;
  const std::int64_t span = statistics ? images * a.tiles_h * a.tiles_w : tiles;
  const std::int64_t tasks = ceil_div(total, span), work = vector_products(a);
  float* blocks = scratch.take(threads_for(tasks, work) * forward.block_size);
  parallel_for(tasks, work, [&](std::int64_t task, int thread) {
    const std::int64_t stop = std::min((task + 1) * span, total);
    for (std::int64_t begin = task * span; begin < stop; begin += tiles) {
      const std::int64_t end = std::min(begin + tiles, stop);
      const MemoryRange ahead[] = {inputs_of(a, x, end, end + tiles),
                                   outputs_of(a, y, begin, indices ? begin : end)};
      kernels().winograd_forward(a, x, forward.u, b, relu, y, indices, begin, end, ahead,
                                 blocks + thread * forward.block_size);
    }
    if (statistics) statistics->add_images(y, task * images, std::min((task + 1) * images, s.n));
  });
}

// A weight gradient, summed over pieces of the batch.
struct WeightGradient {
  WinogradShape a;
  std::int64_t pieces, size;  // size: floats of a piece's transformed gradient
  std::int64_t most;          // tiles in a block
  float* parts;

  WeightGradient(const ConvShape& s, Scratch& scratch)
      : a(winograd_shape(s, kernels().lanes, scratch)), size(kPoints * a.matrix) {
    pieces = std::min(tile_count(a), size > kLargeGradient ? kPiecesOfLarge : kPieces);
    most = std::max(kGradientBlock / (kPoints * (a.lc + a.loc)), kMinGradientTiles);
    parts = scratch.take(pieces * size);
  }

  void add_up(float* dw) const {
    parallel_ranges(a.c, 4, pieces * kPoints * a.loc, [&](std::int64_t begin, std::int64_t end) {
      kernels().winograd_weight_gradient(a, parts, pieces, dw, begin, end);
    });
  }
};

}  // namespace

bool winograd_accepts(const ConvShape& s) {
  return s.kh == 3 && s.kw == 3 && s.stride_h == 1 && s.stride_w == 1 && s.dilation_h == 1 &&
         s.dilation_w == 1 && s.groups == 1 && s.c >= kMinChannels && s.oc >= kMinChannels &&
         s.oh >= 2 && s.ow >= 2 && s.h >= 2 && s.w >= 2 && s.pad_top <= 2 && s.pad_left <= 2 &&
         s.n * ceil_div(s.oh, 4) * ceil_div(s.ow, 4) >= kMinTiles;
}

void winograd_forward(const ConvShape& s, const float* x, const float* w, const float* b, bool relu,
                      float* y, const BatchStatistics* statistics) {
  const bool by_images = statistics && s.n >= kPieces;
  run_forward(s, x, w, s.oc, false, b, relu, y, nullptr, by_images ? statistics : nullptr);
  if (statistics && !by_images) statistics->add_all(y);
}

void winograd_max_pool_forward(const ConvShape& s, const float* x, const float* w, const float* b,
                               bool relu, float* y, std::uint8_t* indices) {
  run_forward(s, x, w, s.oc, false, b, relu, y, indices, nullptr);
}

void winograd_backward_input(const ConvShape& s, const float* dy, const float* w, float* dx) {
  Scratch scratch;
  const TapWeights weights = transposed_weights(s, w, kernels().lanes, scratch);
  run_forward(gradient_shape(s), dy, weights.data, weights.ldw, true, nullptr, false, dx, nullptr,
              nullptr);
}

void winograd_backward_weights(const ConvShape& s, const float* x, const float* dy, float* dw) {
  Scratch scratch;
  const WeightGradient gradient(s, scratch);
  const WinogradShape& a = gradient.a;
  const std::int64_t total = tile_count(a);
  const std::int64_t block = kernels().winograd_block_size(a, gradient.most);
  const std::int64_t work = vector_products(a);
  float* blocks = scratch.take(threads_for(gradient.pieces, work) * block);
  parallel_for(gradient.pieces, work, [&](std::int64_t piece, int thread) {
    const std::int64_t first = piece * total / gradient.pieces;
    const std::int64_t last = (piece + 1) * total / gradient.pieces;
    const std::int64_t tiles = even_share(last - first, gradient.most);
    for (std::int64_t t = first; t < last; t += tiles) {
      const std::int64_t end = std::min(t + tiles, last), next = std::min(end + tiles, last);
      const MemoryRange ahead[] = {inputs_of(a, x, end, next), outputs_of(a, dy, end, next)};
      kernels().winograd_accumulate(a, x, dy, gradient.parts + piece * gradient.size, t, end,
                                    t > first, ahead, blocks + thread * block);
    }
  });
  gradient.add_up(dw);
}

void winograd_backward(const ConvShape& s, const float* x, const float* w,
                       const OutputGradient& output, float* dx, float* dw) {
  Scratch scratch;
  const WeightGradient gradient(s, scratch);
  const WinogradShape& a = gradient.a;
  const std::int64_t pieces = gradient.pieces, image_tiles = a.tiles_h * a.tiles_w;
  const std::int64_t images = std::min(images_together(s), ceil_div(s.n, pieces));
  std::int64_t block = kernels().winograd_block_size(a, gradient.most);
  std::optional<Forward> back;
  if (dx) {
    const TapWeights weights = transposed_weights(s, w, kernels().lanes, scratch);
    back.emplace(gradient_shape(s), weights.data, weights.ldw, true, images, scratch);
    block = std::max(block, back->block_size);
  }
  const std::int64_t loaded = images * output.image_size();
  const std::int64_t masked = images * output.scratch_size();
  const std::int64_t work = 2 * vector_products(a);
  const int threads = threads_for(pieces, work);
  float* blocks = scratch.take(threads * block);
  float* gradients = scratch.take(threads * (loaded + masked));
  const std::int64_t x_image = s.h * s.w * s.c;
  parallel_for(pieces, work, [&](std::int64_t piece, int thread) {
    const std::int64_t first = piece * s.n / pieces, last = (piece + 1) * s.n / pieces;
    for (std::int64_t n = first; n < last; n += images) {
      const std::int64_t count = std::min(images, last - n);
      float* to = gradients + thread * (loaded + masked);
      const float* dy = output.load(n, n + count, to, to + loaded);
      const float* x_part = x + n * x_image;
      float* dx_part = dx ? dx + n * x_image : nullptr;
      WinogradShape part = a;
      part.n = last - n;
      std::int64_t total = count * image_tiles, tiles = even_share(total, gradient.most);
      for (std::int64_t t = 0; t < total; t += tiles) {
        const std::int64_t end = std::min(t + tiles, total);
        const MemoryRange ahead[] = {
            inputs_of(part, x_part, end, end + tiles),
            dx ? inputs_of(part, dx_part, t, end) : MemoryRange{x_part, x_part}};
        kernels().winograd_accumulate(part, x_part, dy, gradient.parts + piece * gradient.size, t,
                                      end, n > first || t > 0, ahead, blocks + thread * block);
      }
      if (!dx) continue;
      const std::int64_t next = n + count, after = std::min(next + images, last);
      const MemoryRange next_gradient = output.gradient_of(next, after);
      const MemoryRange next_output = output.output_of(next, after);
      total = count * back->a.tiles_h * back->a.tiles_w;
      for (std::int64_t t = 0; t < total; t += back->tiles) {
        const MemoryRange ahead[] = {slice(next_gradient, t, t + back->tiles, total),
                                     slice(next_output, t, t + back->tiles, total)};
        kernels().winograd_forward(back->a, dy, back->u, nullptr, false, dx_part, nullptr, t,
                                   std::min(t + back->tiles, total), ahead,
                                   blocks + thread * block);
      }
    }
  });
  gradient.add_up(dw);
}

}  // namespace convkit::ops
