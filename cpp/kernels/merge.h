// Several arrays become one, element by element; their gradients are sums over the axes along which
// an array was broadcast. Every value is computed alone, from the arrays in their order, so where a
// range is cut changes nothing.
#pragma once

#include "maximum.h"
#include "pairwise.h"

CONVKIT_BEGIN_KERNELS

// One array along rows of positions: floats from a row to the next, and from a position to the
// next.
struct Stream {
  const float* at;
  std::int64_t row, step;  // step: 0 where the row is one number, broadcast; elsewhere 1
};

// A vector of a stream's row at p, of which `left` floats belong to the row.
CONVKIT_INLINE F32 read(const float* p, std::int64_t step, std::int64_t left) {
  return step ? load_part(p, left) : set1(*p);
}

// The same with zeros behind the row also where it is one number, for lanes that are added up.
CONVKIT_INLINE F32 read_inside(const float* p, std::int64_t step, std::int64_t left) {
  if (step || left >= kLanes) return read(p, step, left);
  float lanes[kLanes];
  store(lanes, set1(*p));
  return load_n(lanes, static_cast<int>(left));
}

// Floats from an array's first number to those of a row, which are all positions but the last axis.
inline std::int64_t row_offset(const MergeShape& s, std::int64_t array, std::int64_t row) {
  std::int64_t offset = 0;
  for (std::int64_t axis = s.axes - 2; axis >= 0; --axis) {
    offset += row % s.sizes[axis] * s.steps[array * s.axes + axis];
    row /= s.sizes[axis];
  }
  return offset;
}

// Cuts positions [begin, end) of the shape into blocks of rows that lie evenly in every array, and
// calls f(streams, position of the first, rows, width) for each.
template <class F>
CONVKIT_INLINE void each_block(const MergeShape& s, std::int64_t begin, std::int64_t end,
                               const F& f) {
  const std::int64_t last = s.axes - 1, n = s.sizes[last];
  const std::int64_t evenly = last > 0 ? s.sizes[last - 1] : 1;
  Stream streams[kMostMerged];
  while (begin < end) {
    const std::int64_t row = begin / n, column = begin % n;
    std::int64_t rows = 1, width = n - column < end - begin ? n - column : end - begin;
    if (width == n) {
      const std::int64_t whole = (end - begin) / n, left = evenly - row % evenly;
      rows = whole < left ? whole : left;
    }
    for (std::int64_t k = 0; k < s.count; ++k) {
      const std::int64_t* steps = s.steps + k * s.axes;
      streams[k] = {s.arrays[k] + row_offset(s, k, row) + column * steps[last],
                    last > 0 ? steps[last - 1] : 0, steps[last]};
    }
    f(streams, begin, rows, width);
    begin += rows * width;
  }
}

template <Merge Kind>
CONVKIT_INLINE F32 merge_two(F32 a, F32 b) {
  if constexpr (Kind == Merge::kAdd) return add(a, b);
  if constexpr (Kind == Merge::kSubtract) return sub(a, b);
  if constexpr (Kind == Merge::kMultiply) return mul(a, b);
}

// Two arrays of which neither is broadcast along the rows.
template <Merge Kind>
inline void merge_pair(const Stream* in, std::int64_t rows, std::int64_t width, float* y) {
  for (std::int64_t r = 0; r < rows; ++r, y += width) {
    const float *a = in[0].at + r * in[0].row, *b = in[1].at + r * in[1].row;
    std::int64_t j = 0;
    for (; j + kLanes <= width; j += kLanes)
      store(y + j, merge_two<Kind>(load(a + j), load(b + j)));
    if (j < width) {
      const F32 one = load_part(a + j, width - j), other = load_part(b + j, width - j);
      store_part(y + j, merge_two<Kind>(one, other), width - j);
    }
  }
}

// Any number of arrays; their result is divided, unless that would change nothing.
template <Merge Kind>
inline void merge_any(const Stream* in, std::int64_t count, std::int64_t rows, std::int64_t width,
                      float divisor, float* y) {
  for (std::int64_t r = 0; r < rows; ++r, y += width) {
    for (std::int64_t j = 0; j < width; j += kLanes) {
      const auto value = [&](std::int64_t k) CONVKIT_LAMBDA {
        return read(in[k].at + r * in[k].row + j * in[k].step, in[k].step, width - j);
      };
      F32 a = value(0);
      for (std::int64_t k = 1; k < count; ++k) a = merge_two<Kind>(a, value(k));
      store_part(y + j, divisor == 1.0f ? a : div(a, set1(divisor)), width - j);
    }
  }
}

template <Merge Kind>
inline void merge_all(const MergeShape& s, float divisor, std::int64_t begin, std::int64_t end,
                      float* y) {
  each_block(s, begin, end,
             [&](const Stream* in, std::int64_t first, std::int64_t rows, std::int64_t width)
                 CONVKIT_LAMBDA {
                   if (s.count == 2 && in[0].step && in[1].step && divisor == 1.0f) {
                     merge_pair<Kind>(in, rows, width, y + first);
                   } else {
                     merge_any<Kind>(in, s.count, rows, width, divisor, y + first);
                   }
                 });
}

// The largest or the smallest and the number of the array that it comes from: the first of several,
// and the first NaN where there is one.
template <bool Largest>
inline void merge_extremes(const MergeShape& s, std::int64_t begin, std::int64_t end, float* y,
                           std::uint8_t* indices) {
  each_block(s, begin, end,
             [&](const Stream* in, std::int64_t first, std::int64_t rows, std::int64_t width) {
               for (std::int64_t r = 0; r < rows; ++r, first += width) {
                 for (std::int64_t j = 0; j < width; j += kLanes) {
                   const std::int64_t left = width - j;
                   F32 best = zero();
                   I32 where = set1_i(0);
                   for (std::int64_t k = 0; k < s.count; ++k) {
                     const float* p = in[k].at + r * in[k].row + j * in[k].step;
                     const F32 a = read(p, in[k].step, left);
                     const Mask nan = without(unordered(a, a), unordered(best, best));
                     const Mask m = either(Largest ? gt(a, best) : gt(best, a), nan);
                     best = k == 0 ? a : select(m, a, best);
                     where = k == 0 ? where : select_i(m, set1_i(static_cast<int>(k)), where);
                   }
                   store_part(y + first + j, best, left);
                   store_indices(indices + first + j, where, left);
                 }
               }
             });
}

// Positions [begin, end) of the shape. The divisor is that of sums and products; the indices are
// those of the largest and the smallest. y may be one of the arrays that are not broadcast.
void merge(const MergeShape& s, Merge kind, float divisor, std::int64_t begin, std::int64_t end,
           float* y, std::uint8_t* indices) {
  switch (kind) {
    case Merge::kAdd:
      return merge_all<Merge::kAdd>(s, divisor, begin, end, y);
    case Merge::kSubtract:
      return merge_all<Merge::kSubtract>(s, divisor, begin, end, y);
    case Merge::kMultiply:
      return merge_all<Merge::kMultiply>(s, divisor, begin, end, y);
    case Merge::kMaximum:
      return merge_extremes<true>(s, begin, end, y, indices);
    case Merge::kMinimum:
      return merge_extremes<false>(s, begin, end, y, indices);
  }
}

// dy where the array of that index gave the value, 0 elsewhere.
CONVKIT_INLINE F32 selected(F32 dy, const std::uint8_t* indices, int index, std::int64_t left) {
  return select(eq_i(load_indices(indices, left), set1_i(index)), dy, zero());
}

void merge_select(const float* dy, const std::uint8_t* indices, int index, float* dx,
                  std::int64_t n) {
  for (std::int64_t i = 0; i < n; i += kLanes)
    store_part(dx + i, selected(load_part(dy + i, n - i), indices + i, index, n - i), n - i);
}

// The products of all arrays' numbers, or the first one's where it was selected, added up over the
// positions of `summed`, a vector a lane. Streams begin at the first position; with Columns their
// steps go with the lanes, of which `left` are wanted, and elsewhere the lanes are positions.
template <bool Columns>
CONVKIT_INLINE F32 sum_positions(const MergeShape& summed, const Stream* in, std::int64_t left,
                                 const std::uint8_t* indices, int index) {
  const std::int64_t last = summed.axes - 1, inner = summed.sizes[last];
  std::int64_t outer = 1;
  for (std::int64_t axis = 0; axis < last; ++axis) outer *= summed.sizes[axis];
  RunningSum<kSumBlock> total;
  const float* at[kMostMerged];
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t k = 0; k < summed.count; ++k) at[k] = in[k].at + row_offset(summed, k, o);
    for (std::int64_t i = 0; i < inner; i += Columns ? 1 : kLanes) {
      const std::int64_t lanes = Columns ? left : inner - i;
      const auto value = [&](std::int64_t k) CONVKIT_LAMBDA {
        const std::int64_t step = summed.steps[k * summed.axes + last];
        return Columns ? read(at[k] + i * step, in[k].step, lanes)
                       : read_inside(at[k] + i * step, step, lanes);
      };
      F32 a = value(0);
      if (indices) {
        const std::int64_t here = at[0] - in[0].at + i * summed.steps[last];
        a = selected(a, indices + here, index, lanes);
      }
      for (std::int64_t k = 1; k < summed.count; ++k) a = mul(a, value(k));
      total.add_value(a);
    }
  }
  return total.total();
}

// The gradient of an array that was broadcast: positions [begin, end) of it, of which `kept` has
// the axes and `summed` those along which it was broadcast. The first of the arrays is dy, like
// the indices not broadcast. columns: whether the last of all axes is kept.
void merge_sum(const MergeShape& kept, const MergeShape& summed, bool columns,
               const std::uint8_t* indices, int index, float divisor, std::int64_t begin,
               std::int64_t end, float* out) {
  const float* dy = kept.arrays[0];
  const F32 d = set1(divisor);
  each_block(kept, begin, end,
             [&](const Stream* in, std::int64_t first, std::int64_t rows, std::int64_t width) {
               Stream streams[kMostMerged];
               for (std::int64_t r = 0; r < rows; ++r, first += width) {
                 for (std::int64_t j = 0; j < width; j += columns ? kLanes : 1) {
                   for (std::int64_t k = 0; k < kept.count; ++k)
                     streams[k] = {in[k].at + r * in[k].row + j * in[k].step, 0, in[k].step};
                   const std::uint8_t* here = indices ? indices + (streams[0].at - dy) : nullptr;
                   if (columns) {
                     const F32 a = sum_positions<true>(summed, streams, width - j, here, index);
                     store_part(out + first + j, div(a, d), width - j);
                   } else {
                     const F32 a = sum_positions<false>(summed, streams, 0, here, index);
                     out[first + j] = sum_lanes(a) / divisor;
                   }
                 }
               }
             });
}

CONVKIT_END_KERNELS
