#include "winograd.h"

#include <algorithm>

#include "../dispatch/cpu.h"
#include "pack.h"
#include "parallel.h"

namespace convkit::ops {
namespace {

constexpr std::int64_t kPoints = 36;
// With fewer channels the transforms cost more than the products that they save.
constexpr std::int64_t kMinChannels = 16;
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
  return a;
}

// The input gradient as a forward convolution of dy with the transposed, turned kernel.
ConvShape gradient_shape(const ConvShape& s) {
  ConvShape g = s;
  g.h = s.oh, g.w = s.ow, g.c = s.oc;
  g.oh = s.h, g.ow = s.w, g.oc = s.c;
  g.pad_top = 2 - s.pad_top, g.pad_left = 2 - s.pad_left;
  return g;
}

// y = x * w for weights (9, c, ldw), turned when flip is set; pooled 2 x 2 when there are indices.
void run_forward(const ConvShape& s, const float* x, const float* w, std::int64_t ldw, bool flip,
                 const float* b, bool relu, float* y, std::uint8_t* indices) {
  Scratch scratch;
  const KernelTable& kernel = kernels();
  const WinogradShape a = winograd_shape(s, kernel.lanes, scratch);
  float* u = scratch.take(kPoints * a.lc * a.loc);
  parallel_ranges(a.lc, 4, kPoints * a.loc, [&](std::int64_t begin, std::int64_t end) {
    kernel.winograd_weights(w, s.c, s.oc, ldw, flip, a.lc, a.loc, u, begin, end);
  });
  // An even share for every task: each output is computed alone, so its bits do not depend on it.
  const std::int64_t total = s.n * a.tiles_h * a.tiles_w, channels = a.lc + a.loc;
  const std::int64_t most = std::max<std::int64_t>(kForwardBlock / (kPoints * channels), 8);
  const std::int64_t tiles = ceil_div(total, round_up(ceil_div(total, most), 4));
  const std::int64_t tasks = ceil_div(total, tiles), block = kernel.winograd_block_size(a, tiles);
  const std::int64_t work = total * kPoints * a.lc * a.loc / kernel.lanes;
  float* blocks = scratch.take(threads_for(tasks, work) * block);
  parallel_for(tasks, work, [&](std::int64_t task, int thread) {
    kernel.winograd_forward(a, x, u, b, relu, y, indices, task * tiles,
                            std::min((task + 1) * tiles, total), blocks + thread * block);
  });
}

}  // namespace

bool winograd_accepts(const ConvShape& s) {
  return s.kh == 3 && s.kw == 3 && s.stride_h == 1 && s.stride_w == 1 && s.dilation_h == 1 &&
         s.dilation_w == 1 && s.groups == 1 && s.c >= kMinChannels && s.oc >= kMinChannels &&
         s.oh >= 2 && s.ow >= 2 && s.h >= 2 && s.w >= 2 && s.pad_top <= 2 && s.pad_left <= 2;
}

void winograd_forward(const ConvShape& s, const float* x, const float* w, const float* b, bool relu,
                      float* y) {
  run_forward(s, x, w, s.oc, false, b, relu, y, nullptr);
}

void winograd_max_pool_forward(const ConvShape& s, const float* x, const float* w, const float* b,
                               bool relu, float* y, std::uint8_t* indices) {
  run_forward(s, x, w, s.oc, false, b, relu, y, indices);
}

void winograd_backward_input(const ConvShape& s, const float* dy, const float* w, float* dx) {
  Scratch scratch;
  const TapWeights weights = transposed_weights(s, w, kernels().lanes, scratch);
  run_forward(gradient_shape(s), dy, weights.data, weights.ldw, true, nullptr, false, dx, nullptr);
}

void winograd_backward_weights(const ConvShape& s, const float* x, const float* dy, float* dw) {
  Scratch scratch;
  const KernelTable& kernel = kernels();
  const WinogradShape a = winograd_shape(s, kernel.lanes, scratch);
  const std::int64_t total = s.n * a.tiles_h * a.tiles_w, channels = a.lc + a.loc;
  const std::int64_t size = kPoints * a.lc * a.loc;
  const std::int64_t pieces = std::min(total, size > kLargeGradient ? kPiecesOfLarge : kPieces);
  const std::int64_t most = std::max(kGradientBlock / (kPoints * channels), kMinGradientTiles);
  const std::int64_t block = kernel.winograd_block_size(a, most);
  float* du = scratch.take(pieces * size);
  const std::int64_t work = total * kPoints * a.lc * a.loc / kernel.lanes;
  float* blocks = scratch.take(threads_for(pieces, work) * block);
  parallel_for(pieces, work, [&](std::int64_t piece, int thread) {
    float* part = du + piece * size;
    const std::int64_t begin = piece * total / pieces, end = (piece + 1) * total / pieces;
    const std::int64_t tiles = ceil_div(end - begin, ceil_div(end - begin, most));
    for (std::int64_t t = begin; t < end; t += tiles) {
      kernel.winograd_accumulate(a, x, dy, part, t, std::min(t + tiles, end), t > begin,
                                 blocks + thread * block);
    }
  });
  add_parts(du, pieces, size);
  parallel_ranges(s.c, 4, kPoints * a.loc, [&](std::int64_t begin, std::int64_t end) {
    kernel.winograd_weight_gradient(du, s.c, s.oc, a.lc, a.loc, dw, begin, end);
  });
}

}  // namespace convkit::ops
