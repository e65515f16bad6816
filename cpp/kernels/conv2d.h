// Convolution as a correlation without im2col: every output position of a register tile keeps a
// pointer to its input position for each tap (the indirection of Dukhan, "The Indirect Convolution
// Algorithm", 2019); positions in the padding point at zeros. Any kernel size, stride, dilation,
// padding and group count is the same loop.
#pragma once

#include "gemm.h"
#include "pairwise.h"

CONVKIT_BEGIN_KERNELS

// Output positions are numbered along (n, grid_h, grid_w); those of one tile are consecutive.
struct TilePositions {
  std::int64_t n, qh, qw;

  // By not more than what is left of a row.
  void advance(const Correlation& s, std::int64_t by) {
    qw += by;
    if (qw < s.grid_w) return;
    qw = 0;
    if (++qh < s.grid_h) return;
    qh = 0;
    ++n;
  }
};

// Where a position's output goes.
inline float* output_of(const Correlation& s, const TilePositions& at) {
  const std::int64_t oh = s.out_first_h + at.qh * s.out_step_h;
  const std::int64_t ow = s.out_first_w + at.qw * s.out_step_w;
  return s.out + ((at.n * s.out_h + oh) * s.out_w + ow) * s.out_ld;
}

// Where the taps of a register tile's rows fall: each row's corner is where a tap without offset
// would.
template <int Rows>
struct Corners {
  const float* corner[Rows];
  std::int64_t h[Rows], w[Rows];
  bool whole = true;  // no tap of any row falls outside its image

  // Rows [m, m + count) are a part of one row of positions from `at` on.
  void add(const Correlation& s, const TilePositions& at, int m, std::int64_t count) {
    const std::int64_t h0 = at.qh * s.src_step_h, w0 = at.qw * s.src_step_w, step = s.src_step_w;
    const float* first = s.src + ((at.n * s.src_h + h0) * s.src_w + w0) * s.src_ld;
    for (std::int64_t i = 0; i < count; ++i) {
      corner[m + i] = first + i * step * s.src_ld;
      h[m + i] = h0;
      w[m + i] = w0 + i * step;
    }
    whole = whole && h0 + s.first_h >= 0 && h0 + s.last_h < s.src_h && w0 + s.first_w >= 0 &&
            w0 + (count - 1) * step + s.last_w < s.src_w;
  }

  // table[(t - begin) * Rows + m] for tap t of [begin, end) and row m.
  void fill(const Correlation& s, std::int64_t begin, std::int64_t end, const float** table) const {
    for (std::int64_t t = begin; t < end; ++t, table += Rows) {
      const Tap& tap = s.taps[t];
      const std::int64_t offset = (tap.h * s.src_w + tap.w) * s.src_ld;
      if (whole) {
        each<Rows>([&](auto m) CONVKIT_LAMBDA { table[m] = corner[m] + offset; });
        continue;
      }
      for (int m = 0; m < Rows; ++m) {
        const bool inside = is_inside(h[m] + tap.h, s.src_h) && is_inside(w[m] + tap.w, s.src_w);
        table[m] = inside ? corner[m] + offset : s.zeros;
      }
    }
  }
};

// Goes over the `rows` positions of a tile from `at` on, with `at` behind them in the end: gives
// their corners, and fills out with where their outputs go.
template <int Rows>
inline Corners<Rows> corners_of(const Correlation& s, TilePositions& at, int rows, float** out) {
  Corners<Rows> corners;
  for (int m = 0; m < rows;) {
    const std::int64_t left = s.grid_w - at.qw, count = left < rows - m ? left : rows - m;
    corners.add(s, at, m, count);
    float* first = output_of(s, at);
    for (std::int64_t i = 0; i < count; ++i) out[m + i] = first + i * s.out_step_w * s.out_ld;
    at.advance(s, count);
    m += static_cast<int>(count);
  }
  // Rows that fill up a tile read what the first one reads, and nobody uses it.
  for (int m = rows; m < Rows; ++m) {
    corners.corner[m] = corners.corner[0];
    corners.h[m] = corners.h[0], corners.w[m] = corners.w[0];
  }
  return corners;
}

// A register tile's first sums: the bias, or nothing, for columns from `col` on.
template <int Rows, int Vectors>
CONVKIT_INLINE void start_with_bias(const Correlation& s, std::int64_t col,
                                    F32 (&acc)[Rows][Vectors]) {
  each<Vectors>([&](auto v) CONVKIT_LAMBDA {
    const std::int64_t n = s.cols - col - v * kLanes;
    const F32 start = s.bias ? load_part(s.bias + col + v * kLanes, n) : zero();
    each<Rows>([&](auto m) CONVKIT_LAMBDA { acc[m][v] = start; });
  });
}

// One position's sums to its outputs from column `col` on, with what is added to them, through ReLU
// when asked for.
template <int Vectors>
CONVKIT_INLINE void store_sums(const Correlation& s, const F32 (&acc)[Vectors], float* out,
                               std::int64_t col) {
  each<Vectors>([&](auto v) CONVKIT_LAMBDA {
    float* to = out + col + v * kLanes;
    const std::int64_t left = s.cols - col - v * kLanes;
    const F32 a = s.residual ? add(acc[v], load_part(s.residual + (to - s.out), left)) : acc[v];
    // max(0, a) keeps a NaN, as ReLU should.
    store_part(to, s.relu ? max(zero(), a) : a, left);
  });
}

// Calls f(vectors, col) for columns [begin, end), as many vectors at a time as a register tile has.
template <class F>
CONVKIT_INLINE void each_of_columns(std::int64_t begin, std::int64_t end, const F& f) {
  std::int64_t col = begin;
  for (; col + (kTileVectors - 1) * kLanes < end; col += kTileVectors * kLanes)
    f(Index<kTileVectors>{}, col);
  for (; col < end; col += kLanes) f(Index<1>{}, col);
}

// Whether outputs are long sums, or the taps too many for the table.
inline bool is_long(const Correlation& s) {
  return s.tap_count > kTableTaps || s.tap_count * s.k > kLongProduct;
}

// A register tile's outputs where they are: from the first sums acc, in blocks.
template <int Rows, int Vectors>
__attribute__((noinline)) void correlate_long(const Correlation& s, const Corners<Rows>& corners,
                                              const float** table, float* const* out, int rows,
                                              std::int64_t col) {
  constexpr int kWidth = Vectors * kLanes;
  alignas(64) float block[Rows * kWidth];
  PairwiseSums<Rows * kWidth> sums(Rows * kWidth);
  F32 acc[Rows][Vectors];
  start_with_bias(s, col, acc);
  const auto store_block = [&]() CONVKIT_LAMBDA {
    each_of_tile<Rows, Vectors>(
        [&](auto m, auto v) CONVKIT_LAMBDA { store(block + m * kWidth + v * kLanes, acc[m][v]); });
  };
  std::int64_t terms = 0;
  for (std::int64_t t = 0; t < s.tap_count; ++t) {
    if (t % kTableTaps == 0) {
      const std::int64_t end = t + kTableTaps < s.tap_count ? t + kTableTaps : s.tap_count;
      corners.fill(s, t, end, table);
    }
    const float* const* row = table + t % kTableTaps * Rows;
    for (std::int64_t i = 0; i < s.k; i += kSumBlock) {
      if (terms >= kSumBlock) {
        store_block();
        sums.add_block(block);
        each_of_tile<Rows, Vectors>([&](auto m, auto v) CONVKIT_LAMBDA { acc[m][v] = zero(); });
        terms = 0;
      }
      const std::int64_t count = s.k - i < kSumBlock ? s.k - i : kSumBlock;
      const float* from[Rows];
      for (int m = 0; m < Rows; ++m) from[m] = row[m] + i;
      multiply_tile<Rows, Vectors, true>(from, s.taps[t].weights + i * s.ldw + col, s.ldw, count,
                                         acc);
      terms += count;
    }
  }
  store_block();
  sums.finish(block);
  for (int m = 0; m < rows; ++m) {
    F32 y[Vectors];
    each<Vectors>([&](auto v) CONVKIT_LAMBDA { y[v] = load(block + m * kWidth + v * kLanes); });
    store_sums(s, y, out[m], col);
  }
}

template <int Rows, int Vectors>
inline void correlate_columns(const Correlation& s, const float* const* table, float* const* out,
                              int rows, std::int64_t col) {
  F32 acc[Rows][Vectors];
  start_with_bias(s, col, acc);
  for (std::int64_t t = 0; t < s.tap_count; ++t) {
    const float* weights = s.taps[t].weights + col;
    if (s.k > 2 * kRowsAhead) {
      multiply_tile<Rows, Vectors, true>(table + t * Rows, weights, s.ldw, s.k, acc);
    } else {
      multiply_tile<Rows, Vectors, false>(table + t * Rows, weights, s.ldw, s.k, acc);
    }
  }
  // The row count is a constant in the loop, so that the accumulators stay in registers.
  each<Rows>([&](auto m) CONVKIT_LAMBDA {
    if (m < rows) store_sums(s, acc[m], out[m], col);
  });
}

template <int Rows>
inline void correlate_tile(const Correlation& s, TilePositions& at, int rows,
                           std::int64_t col_begin, std::int64_t col_end, const float** table) {
  float* out[Rows];
  const Corners<Rows> corners = corners_of<Rows>(s, at, rows, out);
  if (is_long(s)) {
    return each_of_columns(col_begin, col_end, [&](auto vectors, std::int64_t col) {
      correlate_long<Rows, decltype(vectors)::value>(s, corners, table, out, rows, col);
    });
  }
  corners.fill(s, 0, s.tap_count, table);
  each_of_columns(col_begin, col_end, [&](auto vectors, std::int64_t col) {
    correlate_columns<Rows, decltype(vectors)::value>(s, table, out, rows, col);
  });
}

// Positions of one row, Step floats apart, none of whose taps falls outside: the first one's
// pointer is enough for all, and there is no table to fill.
template <int Rows, int Step>
inline void correlate_run(const Correlation& s, const float* src, float* out,
                          std::int64_t col_begin, std::int64_t col_end) {
  each_of_columns(col_begin, col_end, [&](auto vectors, std::int64_t col) {
    constexpr int Vectors = decltype(vectors)::value;
    F32 acc[Rows][Vectors];
    start_with_bias(s, col, acc);
    for (std::int64_t t = 0; t < s.tap_count; ++t) {
      const Tap& tap = s.taps[t];
      const float* a = src + (tap.h * s.src_w + tap.w) * s.src_ld;
      const float* b = tap.weights + col;
      for (std::int64_t i = 0; i < s.k; ++i, ++a, b += s.ldw) {
        F32 bv[Vectors];
        each<Vectors>([&](auto v) CONVKIT_LAMBDA { bv[v] = load(b + v * kLanes); });
        multiply_add<Rows, Vectors>([&](auto m) CONVKIT_LAMBDA { return a[m * Step]; }, bv, acc);
      }
    }
    each<Rows>([&](auto m) CONVKIT_LAMBDA {
      store_sums(s, acc[m], out + m * s.out_step_w * s.out_ld, col);
    });
  });
}

// `count` positions of one row, in tiles of Rows and then of about half as many.
template <int Rows, int Step>
inline void correlate_runs(const Correlation& s, const float* src, float* out, std::int64_t count,
                           std::int64_t col_begin, std::int64_t col_end) {
  for (; count >= Rows; count -= Rows) {
    correlate_run<Rows, Step>(s, src, out, col_begin, col_end);
    src += Rows * Step;
    out += Rows * s.out_step_w * s.out_ld;
  }
  if constexpr (Rows > 1)
    correlate_runs<(Rows + 1) / 2, Step>(s, src, out, count, col_begin, col_end);
}

// Positions [begin, end) row by row.
template <int Step>
inline void correlate_rows(const Correlation& s, std::int64_t begin, std::int64_t end,
                           std::int64_t col_begin, std::int64_t col_end) {
  TilePositions at{begin / (s.grid_h * s.grid_w), begin / s.grid_w % s.grid_h, begin % s.grid_w};
  for (std::int64_t p = begin; p < end;) {
    const std::int64_t left = s.grid_w - at.qw, count = left < end - p ? left : end - p;
    const std::int64_t row = (at.n * s.src_h + at.qh * s.src_step_h) * s.src_w;
    const float* src = s.src + (row + at.qw * s.src_step_w) * s.src_ld;
    correlate_runs<kTileRows, Step>(s, src, output_of(s, at), count, col_begin, col_end);
    at.advance(s, count);
    p += count;
  }
}

// Positions [begin, end) and columns [col_begin, col_end), which start and end at multiples of
// kLanes or at the last column. table has room for kTableTaps taps of kTileRows
// rows, or for all taps. Sums of more than kLongProduct terms are made in blocks.
void correlate(const Correlation& s, std::int64_t begin, std::int64_t end, std::int64_t col_begin,
               std::int64_t col_end, const float** table) {
  // Images of one channel or three, copied with their padding.
  const std::int64_t step = s.src_step_w * s.src_ld;
  if (!s.zeros && step == 1) return correlate_rows<1>(s, begin, end, col_begin, col_end);
  if (!s.zeros && step == 3) return correlate_rows<3>(s, begin, end, col_begin, col_end);
  TilePositions at{begin / (s.grid_h * s.grid_w), begin / s.grid_w % s.grid_h, begin % s.grid_w};
  for (std::int64_t p = begin; p < end;) {
    const std::int64_t left = end - p;
    const int rows = static_cast<int>(left < kTileRows ? left : kTileRows);
    if (rows > kTileRows / 2) {
      correlate_tile<kTileRows>(s, at, rows, col_begin, col_end, table);
    } else if (rows > 2) {
      correlate_tile<kTileRows / 2>(s, at, rows, col_begin, col_end, table);
    } else {
      correlate_tile<2>(s, at, rows, col_begin, col_end, table);
    }
    p += rows;
  }
}

// One register tile of a weight gradient: one image, one kernel position, a few input channels and
// at most two vectors of output channels.
struct WeightTile {
  const float* x;    // the image, at the tile's first input channel
  std::int64_t ldx;  // floats between neighbouring input positions
  const float* dy;   // the image's gradient, at the tile's first output channel
  float* dw;
  std::int64_t ld;  // floats between rows of dw
  bool accumulate;  // to what dw holds
  std::int64_t tap_h, tap_w;
  // Output rows; and columns whose input column is inside the image.
  std::int64_t oh_begin, oh_end, ow_begin, ow_end;
  std::int64_t cols;
};

template <int Rows, int Vectors, bool Tail>
inline void accumulate_weights(const ConvShape& s, const WeightTile& tile) {
  const int last = static_cast<int>(tile.cols - (Vectors - 1) * kLanes);
  F32 acc[Rows][Vectors];
  // What is written in the end is on its way meanwhile.
  each_of_tile<Rows, Vectors>([&](auto m, auto v) CONVKIT_LAMBDA {
    __builtin_prefetch(tile.dw + m * tile.ld + v * kLanes, 1);
    acc[m][v] = zero();
  });
  for (std::int64_t oh = tile.oh_begin; oh < tile.oh_end; ++oh) {
    const std::int64_t h = oh * s.stride_h + tile.tap_h;
    if (h < 0 || h >= s.h) continue;
    const float* x = tile.x + (h * s.w + tile.ow_begin * s.stride_w + tile.tap_w) * tile.ldx;
    const float* dy = tile.dy + (oh * s.ow + tile.ow_begin) * s.oc;
    outer_tile<Rows, Vectors, Tail>(x, s.stride_w * tile.ldx, dy, s.oc, tile.ow_end - tile.ow_begin,
                                    last, acc);
  }
  each_of_tile<Rows, Vectors>([&](auto m, auto v) CONVKIT_LAMBDA {
    float* p = tile.dw + m * tile.ld + v * kLanes;
    const int n = (Tail && v == Vectors - 1) ? last : kLanes;
    store_part(p, tile.accumulate ? add(load_part(p, n), acc[m][v]) : acc[m][v], n);
  });
}

template <int Rows>
inline void accumulate_rows(std::int64_t rows, const ConvShape& s, const WeightTile& tile) {
  if (rows < Rows) {
    if constexpr (Rows > 1) accumulate_rows<Rows - 1>(rows, s, tile);
  } else if (tile.cols == 2 * kLanes) {
    accumulate_weights<Rows, 2, false>(s, tile);
  } else if (tile.cols > kLanes) {
    accumulate_weights<Rows, 2, true>(s, tile);
  } else if (tile.cols == kLanes) {
    accumulate_weights<Rows, 1, false>(s, tile);
  } else {
    accumulate_weights<Rows, 1, true>(s, tile);
  }
}

// The same for a large plane: in blocks of some rows, or of a part of one, which are summed in
// pairs. An image that is no long sum is one chain of additions.
inline void accumulate_blocks(std::int64_t rows, const ConvShape& s, const WeightTile& tile) {
  const std::int64_t columns = tile.ow_end - tile.ow_begin;
  if (s.oh * columns <= kLongPlane) return accumulate_rows<kOuterRows>(rows, s, tile);
  constexpr int kWidth = 2 * kLanes;
  alignas(64) float block[kOuterRows * kWidth] = {};
  PairwiseSums<kOuterRows * kWidth> sums(rows * kWidth);
  WeightTile part = tile;
  part.dw = block, part.ld = kWidth, part.accumulate = false;
  const std::int64_t step_h = columns < kSumBlock ? kSumBlock / columns : 1;
  const std::int64_t step_w = columns < kSumBlock ? columns : kSumBlock;
  for (std::int64_t oh = 0; oh < s.oh; oh += step_h) {
    part.oh_begin = oh, part.oh_end = oh + step_h < s.oh ? oh + step_h : s.oh;
    for (std::int64_t ow = tile.ow_begin; ow < tile.ow_end; ow += step_w) {
      if (oh > 0 || ow > tile.ow_begin) sums.add_block(block);
      part.ow_begin = ow, part.ow_end = ow + step_w < tile.ow_end ? ow + step_w : tile.ow_end;
      accumulate_rows<kOuterRows>(rows, s, part);
    }
  }
  sums.finish(block);
  for (std::int64_t m = 0; m < rows; ++m) {
    for (std::int64_t i = 0; i < tile.cols; i += kLanes) {
      float* p = tile.dw + m * tile.ld + i;
      const F32 sum = load(block + m * kWidth + i);
      const std::int64_t n = tile.cols - i;
      store_part(p, tile.accumulate ? add(load_part(p, n), sum) : sum, n);
    }
  }
}

// The channels [0, channels) of one kernel position, in register tiles of nearly equal height.
inline void accumulate_channels(const ConvShape& s, WeightTile tile, std::int64_t channels) {
  for (std::int64_t tiles = ceil_div(channels, kOuterRows); tiles > 0; --tiles) {
    const std::int64_t rows = ceil_div(channels, tiles);
    accumulate_blocks(rows, s, tile);
    tile.x += rows;
    tile.dw += rows * tile.ld;
    channels -= rows;
  }
}

// One task of the weight gradient: dw (KH, KW, C / groups, OC) (+)= what images [n_begin, n_end)
// give for the input channels [c_begin, c_end) of one group and the output channels
// [o_begin, o_end) of the same group, at most 2 * kLanes of them. Neighbouring positions of x are
// ldx floats apart. Unless accumulate is set, dw is only written.
void conv2d_backward_weights(const ConvShape& s, const float* x, std::int64_t ldx, const float* dy,
                             float* dw, bool accumulate, std::int64_t n_begin, std::int64_t n_end,
                             std::int64_t group, std::int64_t c_begin, std::int64_t c_end,
                             std::int64_t o_begin, std::int64_t o_end) {
  const std::int64_t group_c = s.c / s.groups;
  const std::int64_t o0 = group * (s.oc / s.groups) + o_begin;
  // One image at a time: its activations and gradient stay in cache for all the tiles.
  for (std::int64_t n = n_begin; n < n_end; ++n) {
    for (std::int64_t tap = 0; tap < s.kh * s.kw; ++tap) {
      WeightTile tile;
      tile.tap_h = tap / s.kw * s.dilation_h - s.pad_top;
      tile.tap_w = tap % s.kw * s.dilation_w - s.pad_left;
      tile.ow_begin = tile.tap_w < 0 ? ceil_div(-tile.tap_w, s.stride_w) : 0;
      tile.ow_end = tile.tap_w < s.w ? ceil_div(s.w - tile.tap_w, s.stride_w) : 0;
      if (tile.ow_end > s.ow) tile.ow_end = s.ow;
      if (tile.ow_begin > tile.ow_end) tile.ow_begin = tile.ow_end;
      tile.x = x + n * s.h * s.w * ldx + group * group_c + c_begin;
      tile.ldx = ldx;
      tile.dy = dy + n * s.oh * s.ow * s.oc + o0;
      tile.dw = dw + (tap * group_c + c_begin) * s.oc + o0;
      tile.ld = s.oc;
      tile.oh_begin = 0, tile.oh_end = s.oh;
      tile.accumulate = accumulate || n > n_begin;
      tile.cols = o_end - o_begin;
      accumulate_channels(s, tile, c_end - c_begin);
    }
  }
}

CONVKIT_END_KERNELS
