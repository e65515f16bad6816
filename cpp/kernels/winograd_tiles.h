// Where Winograd's tiles are in an image, and how a block of them lies in memory.
#pragma once

#include "winograd_points.h"

CONVKIT_BEGIN_KERNELS

// A tile in its image: the corner of its outputs, and how many it has.
struct TileAt {
  std::int64_t n, oh, ow;
  int rows, columns;
};

// Calls f(tile) for tiles [begin, end) of the batch.
template <class F>
inline void each_tile(const WinogradShape& s, std::int64_t begin, std::int64_t end, const F& f) {
  std::int64_t n = begin / (s.tiles_w * s.tiles_h);
  std::int64_t i = begin / s.tiles_w % s.tiles_h, j = begin % s.tiles_w;
  for (std::int64_t t = begin; t < end; ++t) {
    const TileSpan &row = s.tile_rows[i], &column = s.tile_columns[j];
    f(TileAt{n, row.start, column.start, row.size, column.size});
    if (++j < s.tiles_w) continue;
    j = 0;
    if (++i < s.tiles_h) continue;
    i = 0;
    ++n;
  }
}

// Calls f with a tile's rows, or its columns, as a constant.
template <class F>
CONVKIT_INLINE void with_size(int size, const F& f) {
  if (size == 5) return f(Index<5>{});
  if (size == 4) return f(Index<4>{});
  if (size == 3) return f(Index<3>{});
  f(Index<2>{});
}

// Calls f with the points along each axis as a constant.
template <class F>
CONVKIT_INLINE void with_points(const WinogradShape& s, const F& f) {
  if (s.points == kMaxPoints) return f(Index<kMaxPoints>{});
  f(Index<kMaxPoints - 1>{});
}

// The points along each axis that any tile uses: the first tile is the largest.
struct UsedPoints {
  int down, across;

  explicit UsedPoints(const WinogradShape& s)
      : down(s.tile_rows[0].size + 2), across(s.tile_columns[0].size + 2) {}

  bool contain(int i, int j) const { return i < down && j < across; }
};

// Floats from one point's rows to the next's: an odd number of vectors, lest the streams of all
// points fall on the same few sets of a cache.
inline std::int64_t point_stride(std::int64_t tiles, std::int64_t channels) {
  return (tiles * channels / kLanes | 1) * kLanes;
}

// A point's (lc, loc) matrix of weights lies in panels of kPanel columns, each as wide as a
// register tile and in one piece, so that the products stream through it. The last panel may be
// narrower.
constexpr std::int64_t kPanel = kTileVectors * kLanes;

// Points along one axis that the same tiles use: the first four, the fifth, and so on.
constexpr int kPointKinds = kMaxPoints - 3;
constexpr int kind_of(int point) { return point < 4 ? 0 : point - 3; }

// A block of tiles as a matrix for each point: rows are the tiles that use the point, in order.
struct PointRows {
  float* block;
  std::int64_t points, stride, channels;
  std::int64_t next[kPointKinds][kPointKinds] = {};  // floats before the next row

  PointRows(const WinogradShape& s, float* to, std::int64_t tiles, std::int64_t width)
      : block(to), points(s.points), stride(point_stride(tiles, width)), channels(width) {}

  float* point(int i, int j) const { return block + (i * points + j) * stride; }

  // To the next tile.
  void advance(const TileAt& tile) {
    for (int i = 0; i < tile.rows - 1; ++i)
      for (int j = 0; j < tile.columns - 1; ++j) next[i][j] += channels;
  }
};

// The vectors at channel c of a tile's row or column of points: a few pointers, which stay in
// registers while other vectors are stored.
struct PointVectors {
  float* first[kPointKinds];
  std::int64_t step;

  static CONVKIT_INLINE PointVectors of_row(const PointRows& rows, int i, std::int64_t c) {
    const std::int64_t* next = rows.next[kind_of(i)];
    float* at = rows.point(i, 0) + c;
    return {{at + next[0], at + next[1], at + next[2], at + next[3]}, rows.stride};
  }
  static CONVKIT_INLINE PointVectors of_column(const PointRows& rows, int j, std::int64_t c) {
    const int kind = kind_of(j);
    float* at = rows.point(0, j) + c;
    return {{at + rows.next[0][kind], at + rows.next[1][kind], at + rows.next[2][kind],
             at + rows.next[3][kind]},
            rows.points * rows.stride};
  }

  CONVKIT_INLINE float* operator[](int i) const { return first[kind_of(i)] + i * step; }
};

// The rows of each point that tiles [begin, end) have.
inline void count_rows(const WinogradShape& s, std::int64_t begin, std::int64_t end,
                       std::int64_t (&rows)[kMaxPoints][kMaxPoints]) {
  std::int64_t tiles[kPointKinds][kPointKinds] = {};
  each_tile(s, begin, end, [&](const TileAt& at) {
    for (int i = 0; i < at.rows - 1; ++i)
      for (int j = 0; j < at.columns - 1; ++j) ++tiles[i][j];
  });
  for (int i = 0; i < kMaxPoints; ++i)
    for (int j = 0; j < kMaxPoints; ++j) rows[i][j] = tiles[kind_of(i)][kind_of(j)];
}

CONVKIT_END_KERNELS
