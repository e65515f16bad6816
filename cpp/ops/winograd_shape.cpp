#include "winograd_shape.h"

#include "../dispatch/cpu.h"
#include "winograd.h"

namespace convkit::ops {
namespace {

// With fewer channels the transforms cost more than the products that they save.
constexpr std::int64_t kMinChannels = 16;
// With fewer tiles, transforming the weights costs more than the products save.
constexpr std::int64_t kMinTiles = 12;

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

}  // namespace

WinogradShape winograd_shape(const ConvShape& s, Scratch& scratch) {
  const std::int64_t lanes = kernels().lanes;
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
  a.matrix = weights_stride(a.lc, a.loc);
  return a;
}

std::int64_t weights_stride(std::int64_t lc, std::int64_t loc) {
  // Not a power of two: all points of one weight would share a few sets of a cache.
  return lc * loc + kLine;
}

std::int64_t vector_products(const WinogradShape& a) {
  return a.n * a.tiles_h * a.tiles_w * kWinogradPoints * a.lc * a.loc / kernels().lanes;
}

bool winograd_accepts(const ConvShape& s) {
  return s.kh == 3 && s.kw == 3 && s.stride_h == 1 && s.stride_w == 1 && s.dilation_h == 1 &&
         s.dilation_w == 1 && s.groups == 1 && s.c >= kMinChannels && s.oc >= kMinChannels &&
         s.oh >= 2 && s.ow >= 2 && s.h >= 2 && s.w >= 2 && s.pad_top <= 2 && s.pad_left <= 2 &&
         s.n * ceil_div(s.oh, 4) * ceil_div(s.ow, 4) >= kMinTiles;
}

}  // namespace convkit::ops
