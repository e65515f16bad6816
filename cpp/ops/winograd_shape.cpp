#include "winograd_shape.h"

#include <algorithm>

#include "../dispatch/cpu.h"
#include "ranks.h"
#include "winograd.h"

namespace convkit::ops {
namespace {

// With fewer channels the transforms cost more than the products that they save.
constexpr std::int64_t kMinChannels = 16;
// A tile's first output is kept in 32 bits.
constexpr std::int64_t kMaxAxis = INT32_MAX;
// With fewer tiles of 4, transforming the weights costs more than the products save.
constexpr std::int64_t kMinTiles = 12;

// An axis from this size on takes tiles of 4: larger ones spare too few products there to pay for
// more points' weights.
constexpr std::int64_t kLargeAxis = 16;

// The largest tile along an axis of n outputs.
std::int64_t largest_tile(std::int64_t n, bool pooled) {
  return pooled || n >= kLargeAxis || ceil_div(n, 5) == ceil_div(n, 4) ? 4 : 5;
}

// The fewest spans of at most `largest` that make up n >= 2 outputs, the larger ones first.
std::int64_t cut(std::int64_t n, std::int64_t largest, TileSpan* spans) {
  std::int64_t count = 0;
  for (std::int64_t start = 0; start < n;) {
    const std::int64_t left = n - start;
    const std::int64_t size = left == largest + 1 ? largest - 1 : std::min(left, largest);
    spans[count++] = {static_cast<std::int32_t>(start), static_cast<std::int32_t>(size)};
    start += size;
  }
  return count;
}

}  // namespace

WinogradShape winograd_shape(const ConvShape& s, bool pooled, Scratch& scratch) {
  const std::int64_t lanes = kernels().lanes;
  WinogradShape a = {};
  a.n = s.n, a.h = s.h, a.w = s.w, a.c = s.c;
  a.oh = s.oh, a.ow = s.ow, a.oc = s.oc;
  a.pad_top = s.pad_top, a.pad_left = s.pad_left;
  TileSpan* rows = scratch.take<TileSpan>(s.oh / 4 + 2);
  TileSpan* columns = scratch.take<TileSpan>(s.ow / 4 + 2);
  const std::int64_t largest_h = largest_tile(s.oh, pooled), largest_w = largest_tile(s.ow, pooled);
  a.tiles_h = cut(s.oh, largest_h, rows);
  a.tiles_w = cut(s.ow, largest_w, columns);
  a.points = std::max(largest_h, largest_w) + 2;
  a.tile_rows = rows;
  a.tile_columns = columns;
  a.lc = round_up(s.c, lanes);
  a.loc = round_up(s.oc, lanes);
  a.first_o = 0, a.last_o = a.loc;
  a.matrix = weights_stride(a.lc, a.loc);
  return a;
}

std::int64_t weights_stride(std::int64_t lc, std::int64_t loc) {
  // Not a power of two: all points of one weight would share a few sets of a cache.
  return lc * loc + kLine;
}

std::int64_t weights_size(const WinogradShape& a) { return a.points * a.points * a.matrix; }

std::int64_t vector_products(const WinogradShape& a) {
  return product(a.n, a.tiles_h, a.tiles_w, a.points, a.points, a.lc, a.loc / kernels().lanes);
}

bool winograd_accepts(const ConvShape& s) {
  return s.kh == 3 && s.kw == 3 && s.stride_h == 1 && s.stride_w == 1 && s.dilation_h == 1 &&
         s.dilation_w == 1 && s.groups == 1 && s.c >= kMinChannels && s.oc >= kMinChannels &&
         s.oh >= 2 && s.ow >= 2 && s.oh <= kMaxAxis && s.ow <= kMaxAxis && s.h >= 2 && s.w >= 2 &&
         s.pad_top <= 2 && s.pad_left <= 2 &&
         whole_batch(s.n) * ceil_div(s.oh, 4) * ceil_div(s.ow, 4) >= kMinTiles;
}

}  // namespace convkit::ops
