// Winograd convolutions on blocks of tiles: transform, multiply point by point, transform back. The
// transforms are in winograd_transforms.h, their mathematics and source in winograd_points.h.
#pragma once

#include "gemm.h"
#include "pairwise.h"
#include "winograd_transforms.h"

CONVKIT_BEGIN_KERNELS

// Columns [col, col + Vectors * kLanes) of out (Rows, n) = a (Rows, k) times a panel of that width.
template <int Rows, int Vectors>
inline void multiply_panel(const float* const (&row)[Rows], const float* panel, float* out,
                           std::int64_t k, std::int64_t n) {
  F32 acc[Rows][Vectors];
  each_of_tile<Rows, Vectors>([&](auto m, auto v) CONVKIT_LAMBDA { acc[m][v] = zero(); });
  multiply_tile<Rows, Vectors, true>(row, panel, Vectors * kLanes, k, acc);
  each_of_tile<Rows, Vectors>([&](auto m, auto v)
                                  CONVKIT_LAMBDA { store(out + m * n + v * kLanes, acc[m][v]); });
}

// out (Rows, n) = a (Rows, k) b (k, n), b in panels.
template <int Rows>
inline void multiply_rows(const float* a, const float* b, float* out, std::int64_t k,
                          std::int64_t n) {
  const float* row[Rows];
  for (int m = 0; m < Rows; ++m) row[m] = a + m * k;
  std::int64_t col = 0;
  for (; col + kPanel <= n; col += kPanel)
    multiply_panel<Rows, kTileVectors>(row, b + col * k, out + col, k, n);
  const float* last = b + col * k;
  const int vectors = static_cast<int>((n - col) / kLanes);
  if (vectors == 1) multiply_panel<Rows, 1>(row, last, out + col, k, n);
  if constexpr (kTileVectors > 2) {
    if (vectors == 2) multiply_panel<Rows, 2>(row, last, out + col, k, n);
    if (vectors == 3) multiply_panel<Rows, 3>(row, last, out + col, k, n);
  }
}

template <int Rows>
inline void multiply_exactly(std::int64_t rows, const float* a, const float* b, float* out,
                             std::int64_t k, std::int64_t n) {
  if (rows == Rows) return multiply_rows<Rows>(a, b, out, k, n);
  if constexpr (Rows > 1) multiply_exactly<Rows - 1>(rows, a, b, out, k, n);
}

// Any number of rows, in register tiles of nearly equal height.
inline void multiply(std::int64_t rows, const float* a, const float* b, float* out, std::int64_t k,
                     std::int64_t n) {
  for (std::int64_t tiles = ceil_div(rows, kTileRows); tiles > 0; --tiles) {
    const std::int64_t height = ceil_div(rows, tiles);
    multiply_exactly<kTileRows>(height, a, b, out, k, n);
    a += height * k;
    out += height * n;
    rows -= height;
  }
}

// Memory on its way to the second-level cache, some lines with the products of every point. The
// transforms touch an image in an order that the hardware does not foresee; the products between
// them leave the memory idle.
class Prefetch {
 public:
  // In as many steps as the convolution has points.
  Prefetch(const WinogradShape& s, const MemoryRange& range)
      : row_(range.begin),
        end_(range.end),
        stride_(range.stride),
        lines_(ceil_div(range.width, kLine)),
        step_((end_ - row_) / stride_ * lines_ / (s.points * s.points) + 1) {}

  void advance() {
    for (std::int64_t i = 0; i < step_ && row_ < end_; ++i) {
      __builtin_prefetch(row_ + line_ * kLine, 0, 2);
      if (++line_ == lines_) {
        line_ = 0;
        row_ += stride_;
      }
    }
  }

 private:
  const float *row_, *end_;
  std::int64_t stride_, lines_, line_ = 0, step_;
};

// v = B^T x B of tiles [begin, end), channels [c_begin, c_end) of winograd_block_size() floats of
// lc.
void winograd_inputs(const WinogradShape& s, const float* x, std::int64_t begin, std::int64_t end,
                     std::int64_t c_begin, std::int64_t c_end, float* v) {
  PointRows rows(s, v, end - begin, s.lc);
  transform_inputs(s, x, 0, begin, end, c_begin, c_end, rows);
}

// y of tiles [begin, end), loc output channels from `first` on, from their transformed inputs v and
// the transformed weights u, one (lc, loc) matrix a point. scratch holds winograd_block_size()
// floats of loc channels; two ranges of memory are fetched ahead. A residual, null or shaped like
// y, is added before ReLU; it may be y itself. With indices, y and they are max-pooled 2 x 2,
// without a residual: oh and ow are even then, and all tiles of 4 or 2.
void winograd_forward(const WinogradShape& s, const float* v, const float* u, const float* bias,
                      const float* residual, bool relu, float* y, std::uint8_t* indices,
                      std::int64_t first, std::int64_t begin, std::int64_t end,
                      const MemoryRange* ahead, float* scratch) {
  const std::int64_t stride = point_stride(end - begin, s.lc);
  std::int64_t rows[kMaxPoints][kMaxPoints];
  count_rows(s, begin, end, rows);
  PointRows products(s, scratch, end - begin, s.loc);
  Prefetch inputs(s, ahead[0]), outputs(s, ahead[1]);
  for (int i = 0; i < s.points; ++i) {
    for (int j = 0; j < s.points; ++j) {
      inputs.advance();
      outputs.advance();
      const std::int64_t p = i * s.points + j;
      multiply(rows[i][j], v + p * stride, u + p * s.matrix, products.point(i, j), s.lc, s.loc);
    }
  }
  transform_outputs(s, products, bias, residual, relu, y, indices, first, begin, end);
}

// out += a^T b over k rows for Rows columns of a and a panel's columns of b; out is as wide as the
// panel. Unless accumulate is set, out is only written.
template <int Rows, int Vectors>
inline void add_outer(const float* a, const float* b, float* out, std::int64_t k, std::int64_t lda,
                      std::int64_t ldb, bool accumulate) {
  constexpr int kWidth = Vectors * kLanes;
  F32 acc[Rows][Vectors];
  each_of_tile<Rows, Vectors>([&](auto m, auto v) CONVKIT_LAMBDA {
    acc[m][v] = accumulate ? load(out + m * kWidth + v * kLanes) : zero();
  });
  outer_tile<Rows, Vectors, false>(a, lda, b, ldb, k, kLanes, acc);
  each_of_tile<Rows, Vectors>(
      [&](auto m, auto v) CONVKIT_LAMBDA { store(out + m * kWidth + v * kLanes, acc[m][v]); });
}

template <int Rows, int Vectors>
inline void add_exactly(std::int64_t rows, const float* a, const float* b, float* out,
                        std::int64_t k, std::int64_t lda, std::int64_t ldb, bool accumulate) {
  if (rows == Rows) return add_outer<Rows, Vectors>(a, b, out, k, lda, ldb, accumulate);
  if constexpr (Rows > 1) add_exactly<Rows - 1, Vectors>(rows, a, b, out, k, lda, ldb, accumulate);
}

// The same for many rows of a and b: in blocks, whose sums are added up in pairs and then to out.
template <int Vectors>
inline void add_in_blocks(std::int64_t rows, const float* a, const float* b, float* out,
                          std::int64_t k, std::int64_t lda, std::int64_t ldb, bool accumulate) {
  constexpr int kMost = kOuterRows * Vectors * kLanes;
  const std::int64_t size = rows * Vectors * kLanes;
  alignas(64) float block[kMost];
  PairwiseSums<kMost> sums(size);
  for (std::int64_t i = 0; i < k; i += kSumBlock) {
    if (i > 0) sums.add_block(block);
    const std::int64_t count = k - i < kSumBlock ? k - i : kSumBlock;
    add_exactly<kOuterRows, Vectors>(rows, a + i * lda, b + i * ldb, block, count, lda, ldb, false);
  }
  sums.finish(block);
  for (std::int64_t i = 0; i < size; i += kLanes)
    store(out + i, accumulate ? add(load(out + i), load(block + i)) : load(block + i));
}

// All rows of one panel of width Vectors * kLanes, in register tiles of nearly equal height. The
// sums of k rows go on from those in out; or, if they are long or `apart`, are added to them.
template <int Vectors>
inline void add_panel(const float* a, const float* b, float* out, std::int64_t k, std::int64_t lda,
                      std::int64_t ldb, bool accumulate, bool apart) {
  std::int64_t c = 0;
  for (std::int64_t tiles = ceil_div(lda, kOuterRows); tiles > 0; --tiles) {
    const std::int64_t height = ceil_div(lda - c, tiles);
    float* to = out + c * Vectors * kLanes;
    if (k <= kLongPlane && !apart) {
      add_exactly<kOuterRows, Vectors>(height, a + c, b, to, k, lda, ldb, accumulate);
    } else {
      add_in_blocks<Vectors>(height, a + c, b, to, k, lda, ldb, accumulate);
    }
    c += height;
  }
}

// out (lda, ldb), in panels, (+)= a^T b over k rows; of the columns [first, last).
inline void add_products(const float* a, const float* b, float* out, std::int64_t k,
                         std::int64_t lda, std::int64_t ldb, std::int64_t first, std::int64_t last,
                         bool accumulate, bool apart) {
  std::int64_t o = first;
  for (; o + kPanel <= last; o += kPanel)
    add_panel<kTileVectors>(a, b + o, out + o * lda, k, lda, ldb, accumulate, apart);
  const int vectors = static_cast<int>((last - o) / kLanes);
  out += o * lda;
  if (vectors == 1) add_panel<1>(a, b + o, out, k, lda, ldb, accumulate, apart);
  if constexpr (kTileVectors > 2) {
    if (vectors == 2) add_panel<2>(a, b + o, out, k, lda, ldb, accumulate, apart);
    if (vectors == 3) add_panel<3>(a, b + o, out, k, lda, ldb, accumulate, apart);
  }
}

// To the first row of an image that has so many images of its block before it.
inline void skip_images(const WinogradShape& s, std::int64_t images, PointRows& rows) {
  each_tile(s, 0, images * s.tiles_h * s.tiles_w, [&](const TileAt& at) { rows.advance(at); });
}

// v = B^T x B of an image, of lc channels from `first` on, in winograd_block_size() floats of lc
// for a block of so many images, of which so many come before.
void winograd_image_inputs(const WinogradShape& s, const float* x, std::int64_t first,
                           std::int64_t image, std::int64_t before, std::int64_t images, float* v) {
  const std::int64_t tiles = s.tiles_h * s.tiles_w;
  PointRows rows(s, v, images * tiles, s.lc);
  skip_images(s, before, rows);
  transform_inputs(s, x, first, image * tiles, (image + 1) * tiles, 0, s.lc, rows);
}

// z = A dy A^T of images [begin, end), the channels that s names of winograd_block_size() floats of
// loc for a block of so many images, of which so many come before. With indices, dy is the gradient
// behind a 2 x 2 max pool.
void winograd_output_gradients(const WinogradShape& s, const float* dy, const std::uint8_t* indices,
                               float* z, std::int64_t begin, std::int64_t end, std::int64_t before,
                               std::int64_t images) {
  const std::int64_t tiles = s.tiles_h * s.tiles_w;
  PointRows rows(s, z, images * tiles, s.loc);
  skip_images(s, before, rows);
  transform_gradients(s, dy, indices, begin * tiles, end * tiles, rows);
}

// du of points [first, last) as winograd_backward() computes it, from what the images' inputs v and
// gradients z are transformed to.
void winograd_outer_products(const WinogradShape& s, const float* v, const float* z, float* du,
                             std::int64_t images, std::int64_t first, std::int64_t last,
                             bool accumulate) {
  const std::int64_t tiles = images * s.tiles_h * s.tiles_w;
  const std::int64_t v_stride = point_stride(tiles, s.lc), z_stride = point_stride(tiles, s.loc);
  std::int64_t rows[kMaxPoints][kMaxPoints];
  count_rows(s, 0, tiles, rows);
  for (std::int64_t p = first; p < last; ++p) {
    const std::int64_t k = rows[p / s.points][p % s.points];
    if (k == 0) continue;
    add_products(v + p * v_stride, z + p * z_stride, du + p * s.matrix, k, s.lc, s.loc, s.first_o,
                 s.last_o, accumulate, s.sum_apart);
  }
}

// dx of images [begin, end) as winograd_backward() computes it. z is of a block of so many images,
// of which so many come before.
void winograd_input_gradients(const WinogradShape& s, const float* z, const float* u, float* dx,
                              std::int64_t first, std::int64_t begin, std::int64_t end,
                              std::int64_t before, std::int64_t images, float* scratch) {
  const std::int64_t image = s.tiles_h * s.tiles_w, tiles = (end - begin) * image;
  PointRows dv(s, scratch, tiles, s.lc);
  const std::int64_t z_stride = point_stride(images * image, s.loc);
  std::int64_t rows[kMaxPoints][kMaxPoints], skipped[kMaxPoints][kMaxPoints];
  count_rows(s, 0, tiles, rows);
  count_rows(s, 0, before * image, skipped);
  for (int i = 0; i < s.points; ++i) {
    for (int j = 0; j < s.points; ++j) {
      const std::int64_t p = i * s.points + j;
      if (rows[i][j] > 0)
        multiply(rows[i][j], z + p * z_stride + skipped[i][j] * s.loc, u + p * s.matrix,
                 dv.point(i, j), s.loc, s.lc);
    }
  }
  clear_rest(s, dx, first, begin, end);
  add_input_gradients(s, dv, dx, first, begin * image, end * image);
}

// Both gradients of images [begin, end) for lc input channels from `first` on, each null where it
// is not wanted. du (one (lc, loc) matrix a point, in panels) += what the images and their
// transformed gradients z give, in the columns that s names; unless accumulate is set, it is only
// written. dx is written, or added to where s says so, these channels of it, from transposed
// weights u, one (loc, lc) matrix a point. `ahead` are kRangesAhead ranges of memory to fetch,
// scratch holds winograd_block_size() floats of lc channels.
void winograd_backward(const WinogradShape& s, const float* x, const float* z, const float* u,
                       float* du, float* dx, std::int64_t first, std::int64_t begin,
                       std::int64_t end, bool accumulate, const MemoryRange* ahead,
                       float* scratch) {
  const std::int64_t image = s.tiles_h * s.tiles_w, tiles = (end - begin) * image;
  PointRows v(s, scratch, tiles, s.lc), dv(s, scratch, tiles, s.lc);
  const std::int64_t z_stride = point_stride(tiles, s.loc);
  if (du) transform_inputs(s, x, first, begin * image, end * image, 0, s.lc, v);
  std::int64_t rows[kMaxPoints][kMaxPoints];
  count_rows(s, begin * image, end * image, rows);
  Prefetch fetch[kRangesAhead] = {Prefetch(s, ahead[0]), Prefetch(s, ahead[1]),
                                  Prefetch(s, ahead[2]), Prefetch(s, ahead[3])};
  for (int i = 0; i < s.points; ++i) {
    for (int j = 0; j < s.points; ++j) {
      for (Prefetch& f : fetch) f.advance();
      if (rows[i][j] == 0) continue;
      const std::int64_t p = i * s.points + j;
      const float* zp = z + p * z_stride;
      if (du)
        add_products(v.point(i, j), zp, du + p * s.matrix, rows[i][j], s.lc, s.loc, s.first_o,
                     s.last_o, accumulate, s.sum_apart);
      if (dx) multiply(rows[i][j], zp, u + p * s.matrix, dv.point(i, j), s.loc, s.lc);
    }
  }
  if (!dx) return;
  clear_rest(s, dx, first, begin, end);
  add_input_gradients(s, dv, dx, first, begin * image, end * image);
}

// Floats of a block of `tiles` tiles with `channels` channels, as many as fill vectors.
std::int64_t winograd_block_size(const WinogradShape& s, std::int64_t tiles,
                                 std::int64_t channels) {
  return s.points * s.points * point_stride(tiles, channels);
}

CONVKIT_END_KERNELS
