#include "pack.h"

#include <algorithm>
#include <cstring>

#include "../dispatch/cpu.h"
#include "parallel.h"
#include "ranks.h"

namespace convkit::ops {
namespace {

constexpr std::int64_t kRowsPerTask = 64;
constexpr std::int64_t kTransposeBlock = 16;
// Floats that could be copied while a padded row is begun and ended.
constexpr std::int64_t kRowCost = 64;
constexpr std::int64_t kClearBlock = 1 << 13;
// Floats of a sum of parts in one task.
constexpr std::int64_t kAddBlock = 1 << 9;
// Floats of a weight gradient's pieces that are always allowed.
constexpr std::int64_t kMostPieces = 16 << 20;
// A matrix whose rows are filled up to whole vectors may have so many floats; beyond them, twice
// the floats of the weights.
constexpr std::int64_t kMostPadded = 1 << 20;

// Floats between the rows of a packed matrix: whole vectors, for reads not to cross lines, unless
// that would make many more floats of a large matrix with narrow rows.
std::int64_t row_size(std::int64_t rows, std::int64_t width, std::int64_t lanes) {
  const std::int64_t padded = round_up(width, lanes);
  return product(rows, padded) <= std::max(kMostPadded, 2 * rows * width) ? padded : width;
}

// Such a matrix. What is read behind a row that does not fill vectors is the next one, and nobody
// uses it; behind the last one are zeros.
float* take_rows(std::int64_t rows, std::int64_t ldw, std::int64_t lanes, Scratch& scratch) {
  float* packed = scratch.take(product(rows, ldw) + lanes);
  std::fill(packed + rows * ldw, packed + rows * ldw + lanes, 0.0f);
  return packed;
}

}  // namespace

TapWeights forward_weights(const ConvShape& s, const float* w, std::int64_t lanes,
                           Scratch& scratch) {
  const std::int64_t gc = s.c / s.groups, goc = s.oc / s.groups, taps = s.kh * s.kw;
  if (goc % lanes == 0) return {w, s.oc, gc * s.oc, goc};
  const std::int64_t rows = product(s.groups, taps, gc), ldw = row_size(rows, goc, lanes);
  float* packed = take_rows(rows, ldw, lanes, scratch);
  parallel_ranges(taps * gc, kRowsPerTask, s.oc, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      for (std::int64_t g = 0; g < s.groups; ++g) {
        float* to = packed + (g * taps * gc + row) * ldw;
        std::memcpy(to, w + row * s.oc + g * goc, static_cast<std::size_t>(goc) * sizeof(float));
        std::fill(to + goc, to + ldw, 0.0f);
      }
    }
  });
  return {packed, ldw, gc * ldw, taps * gc * ldw};
}

// Each tap's matrix transposed to (output channels, input channels).
TapWeights transposed_weights(const ConvShape& s, const float* w, std::int64_t lanes,
                              Scratch& scratch) {
  const std::int64_t gc = s.c / s.groups, goc = s.oc / s.groups, taps = s.kh * s.kw;
  const std::int64_t rows = product(s.groups, taps, goc), ldw = row_size(rows, gc, lanes);
  float* packed = take_rows(rows, ldw, lanes, scratch);
  const std::int64_t blocks = ceil_div(ldw, kTransposeBlock);
  parallel_for(s.groups * taps * blocks, rows * ldw, [&](std::int64_t task) {
    const std::int64_t g = task / (taps * blocks), tap = task / blocks % taps;
    const std::int64_t c_begin = task % blocks * kTransposeBlock;
    const std::int64_t c_end = std::min(c_begin + kTransposeBlock, ldw);
    const float* from = w + (tap * gc + c_begin) * s.oc + g * goc;
    float* to = packed + (g * taps + tap) * goc * ldw + c_begin;
    kernels().transpose(from, s.oc, std::min(c_end, gc) - c_begin, goc, to, ldw, c_end - c_begin);
  });
  return {packed, ldw, goc * ldw, taps * goc * ldw};
}

void pad_images(const ConvShape& s, const float* x, std::int64_t height, std::int64_t width,
                float* padded) {
  const std::int64_t first = std::min(s.pad_left, width);
  const std::int64_t inside = std::min(s.w, width - first);
  parallel_ranges(s.n * height, kRowsPerTask, width * s.c + kRowCost,
                  [&](std::int64_t begin, std::int64_t end) {
                    for (std::int64_t row = begin; row < end; ++row) {
                      const std::int64_t h = row % height - s.pad_top;
                      float* to = padded + row * width * s.c;
                      float* stop = to + width * s.c;
                      if (h < 0 || h >= s.h) {
                        std::fill(to, stop, 0.0f);
                        continue;
                      }
                      std::fill(to, to + first * s.c, 0.0f);
                      const float* from = x + (row / height * s.h + h) * s.w * s.c;
                      std::copy(from, from + inside * s.c, to + first * s.c);
                      std::fill(to + (first + inside) * s.c, stop, 0.0f);
                    }
                  });
}

std::int64_t pieces_of(const ConvShape& s) {
  const std::int64_t size = s.kh * s.kw * (s.c / s.groups) * s.oc;
  const std::int64_t n = whole_batch(s.n);
  const std::int64_t arrays = n * (s.h * s.w * s.c + s.oh * s.ow * s.oc) + size;
  const std::int64_t most = std::max(kMostPieces, 2 * arrays) / size;
  const std::int64_t allowed = std::max<std::int64_t>(most, 2);
  std::int64_t pieces = pieces_of_batch(s);
  while (pieces > kBatchPieces && pieces > allowed) pieces /= 2;
  return std::min({n, pieces, allowed});
}

void clear(std::int64_t size, float* to) {
  parallel_ranges(size, kClearBlock, 1, [&](std::int64_t begin, std::int64_t end) {
    std::fill(to + begin, to + end, 0.0f);
  });
}

PartsSum::PartsSum(const float* parts, std::int64_t count, std::int64_t size, float* sum,
                   const std::uint8_t* levels)
    : parts_(parts), count_(count), size_(size), sum_(sum), levels_(levels) {}

std::int64_t PartsSum::tasks() const { return ceil_div(size_, kAddBlock); }

void PartsSum::run(std::int64_t task) const {
  const std::int64_t begin = task * kAddBlock;
  kernels().add_parts(parts_, levels_, count_, size_, begin, std::min(begin + kAddBlock, size_),
                      sum_);
}

void PartsSum::run() const {
  parallel_for(tasks(), product(size_, count_), [&](std::int64_t task) { run(task); });
}

const float* filled(const float* given, std::int64_t size, float number, Scratch& scratch) {
  if (given) return given;
  float* made = scratch.take(size);
  std::fill(made, made + size, number);
  return made;
}

void sum_blocks(std::int64_t n, std::int64_t of_sample, std::int64_t c, const float* blocks,
                float* total) {
  Scratch scratch;
  blocks = gather_batch(exact_ranks_of(n), blocks, of_sample * c, scratch);
  sum_blocks(whole_batch(n) * of_sample, c, blocks, total);
}

void sum_blocks(std::int64_t count, std::int64_t c, const float* blocks, float* total) {
  kernels().add_blocks(blocks, count, c, total);
}

}  // namespace convkit::ops
