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

// A vector at p of a row's numbers, of which `left` belong to it; zeros are behind them also where
// the row is one number, for lanes that are added up.
CONVKIT_INLINE F32 read_inside(const float* p, std::int64_t step, std::int64_t left) {
  if (step) return load_part(p, left);
  if (left >= kLanes) return set1(*p);
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

// Calls f(j, left) for vectors of a row: with `left` a constant for whole ones.
template <class F>
CONVKIT_INLINE void each_vector(std::int64_t width, const F& f) {
  std::int64_t j = 0;
  for (; j + kLanes <= width; j += kLanes) f(j, std::int64_t{kLanes});
  if (j < width) f(j, width - j);
}

// Two arrays; Moves: which of them is not broadcast along the rows.
template <Merge Kind, bool FirstMoves, bool SecondMoves>
inline void merge_pair(const Stream* in, std::int64_t rows, std::int64_t width, float* y) {
  for (std::int64_t r = 0; r < rows; ++r, y += width) {
    const float *a = in[0].at + r * in[0].row, *b = in[1].at + r * in[1].row;
    const F32 first = set1(*a), second = set1(*b);
    each_vector(width, [&](std::int64_t j, std::int64_t left) CONVKIT_LAMBDA {
      const F32 one = FirstMoves ? load_part(a + j, left) : first;
      const F32 other = SecondMoves ? load_part(b + j, left) : second;
      store_part(y + j, merge_two<Kind>(one, other), left);
    });
  }
}

// A piece of a row that stays in a first-level cache, for any number of arrays to come by in turn.
constexpr std::int64_t kPiece = 512;

// Calls f(row, first, width) for all pieces of the rows.
template <class F>
CONVKIT_INLINE void each_piece(std::int64_t rows, std::int64_t width, const F& f) {
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t j = 0; j < width; j += kPiece)
      f(r, j, width - j < kPiece ? width - j : kPiece);
}

// Calls f(i, vector) for the vectors of a stream's piece.
template <class F>
CONVKIT_INLINE void each_read(const Stream& in, std::int64_t row, std::int64_t first,
                              std::int64_t width, const F& f) {
  const float* p = in.at + row * in.row + first * in.step;
  if (in.step) {
    each_vector(width, [&](std::int64_t i, std::int64_t left)
                           CONVKIT_LAMBDA { f(i, load_part(p + i, left)); });
  } else {
    const F32 a = set1(*p);
    for (std::int64_t i = 0; i < width; i += kLanes) f(i, a);
  }
}

// Any number of arrays; their result is divided, unless that would change nothing.
template <Merge Kind>
inline void merge_any(const Stream* in, std::int64_t count, std::int64_t rows, std::int64_t width,
                      float divisor, float* y) {
  float piece[kPiece];
  each_piece(rows, width, [&](std::int64_t r, std::int64_t first, std::int64_t n) CONVKIT_LAMBDA {
    each_read(in[0], r, first, n,
              [&](std::int64_t i, F32 a) CONVKIT_LAMBDA { store(piece + i, a); });
    for (std::int64_t k = 1; k < count; ++k) {
      each_read(in[k], r, first, n, [&](std::int64_t i, F32 a) CONVKIT_LAMBDA {
        store(piece + i, merge_two<Kind>(load(piece + i), a));
      });
    }
    const F32 d = set1(divisor);
    float* to = y + r * width + first;
    each_vector(n, [&](std::int64_t i, std::int64_t left) CONVKIT_LAMBDA {
      const F32 a = load(piece + i);
      store_part(to + i, divisor == 1.0f ? a : div(a, d), left);
    });
  });
}

template <Merge Kind>
inline void merge_rows(const Stream* in, std::int64_t count, std::int64_t rows, std::int64_t width,
                       float divisor, float* y) {
  if (count != 2 || divisor != 1.0f) {
    merge_any<Kind>(in, count, rows, width, divisor, y);
  } else if (!in[0].step) {
    if (in[1].step) {
      merge_pair<Kind, false, true>(in, rows, width, y);
    } else {
      merge_pair<Kind, false, false>(in, rows, width, y);
    }
  } else if (in[1].step) {
    merge_pair<Kind, true, true>(in, rows, width, y);
  } else {
    merge_pair<Kind, true, false>(in, rows, width, y);
  }
}

template <Merge Kind>
inline void merge_all(const MergeShape& s, float divisor, std::int64_t begin, std::int64_t end,
                      float* y) {
  each_block(s, begin, end,
             [&](const Stream* in, std::int64_t first, std::int64_t rows, std::int64_t width) {
               merge_rows<Kind>(in, s.count, rows, width, divisor, y + first);
             });
}

// The largest or the smallest and the number of the array that it comes from: the first of several,
// and the first NaN where there is one.
template <bool Largest>
inline void extreme_rows(const Stream* in, std::int64_t count, std::int64_t rows,
                         std::int64_t width, float* y, std::uint8_t* indices) {
  float best[kPiece];
  int where[kPiece];
  each_piece(rows, width, [&](std::int64_t r, std::int64_t first, std::int64_t n) CONVKIT_LAMBDA {
    each_read(in[0], r, first, n, [&](std::int64_t i, F32 a) CONVKIT_LAMBDA {
      store(best + i, a);
      store_i(where + i, set1_i(0));
    });
    for (std::int64_t k = 1; k < count; ++k) {
      const I32 number = set1_i(static_cast<int>(k));
      each_read(in[k], r, first, n, [&](std::int64_t i, F32 a) CONVKIT_LAMBDA {
        const F32 b = load(best + i);
        const Mask nan = without(unordered(a, a), unordered(b, b));
        const Mask m = either(Largest ? gt(a, b) : gt(b, a), nan);
        store(best + i, select(m, a, b));
        store_i(where + i, select_i(m, number, load_i(where + i)));
      });
    }
    const std::int64_t to = r * width + first;
    each_vector(n, [&](std::int64_t i, std::int64_t left)
                       CONVKIT_LAMBDA { store_part(y + to + i, load(best + i), left); });
    for (std::int64_t i = 0; i < n; ++i) indices[to + i] = static_cast<std::uint8_t>(where[i]);
  });
}

template <bool Largest>
inline void merge_extremes(const MergeShape& s, std::int64_t begin, std::int64_t end, float* y,
                           std::uint8_t* indices) {
  each_block(s, begin, end,
             [&](const Stream* in, std::int64_t first, std::int64_t rows, std::int64_t width) {
               extreme_rows<Largest>(in, s.count, rows, width, y + first, indices + first);
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

// What is added up for an array that was broadcast: the products of all arrays' numbers, or those
// of the first where its index is the one.
struct Terms {
  const MergeShape& summed;     // the axes along which the array was broadcast
  const float* dy;              // the first array, which is not broadcast, and
  const std::uint8_t* indices;  // null, or beside it what is selected
  int index;

  // Calls f(pointers, positions) for all positions, those along the last axis at a time, from the
  // streams' beginnings.
  template <class F>
  CONVKIT_INLINE void each_run(const Stream* in, const F& f) const {
    const std::int64_t last = summed.axes - 1;
    std::int64_t runs = 1;
    for (std::int64_t axis = 0; axis < last; ++axis) runs *= summed.sizes[axis];
    const float* at[kMostMerged];
    for (std::int64_t run = 0; run < runs; ++run) {
      for (std::int64_t k = 0; k < summed.count; ++k) at[k] = in[k].at + row_offset(summed, k, run);
      f(at, summed.sizes[last]);
    }
  }
  std::int64_t step(std::int64_t array) const {
    return summed.steps[(array + 1) * summed.axes - 1];
  }
};

// acc[v] += the terms of positions [begin, end) of a run, for V vectors of columns, the last of
// which may be a part.
template <int V>
CONVKIT_INLINE void add_columns(const Terms& t, const Stream* in, const float* const* at,
                                std::int64_t begin, std::int64_t end, std::int64_t left,
                                F32 (&acc)[V]) {
  const auto part = [&](const float* p, int v) CONVKIT_LAMBDA {
    return V > 1 ? load(p + v * kLanes) : load_part(p, left);
  };
  const std::int64_t step = t.step(0), count = t.summed.count;
  for (std::int64_t i = begin; i < end; ++i) {
    const float* p = at[0] + i * step;
    each<V>([&](auto v) CONVKIT_LAMBDA {
      F32 a = part(p, v);
      if (t.indices)
        a = selected(a, t.indices + (p - t.dy) + v * kLanes, t.index, V > 1 ? kLanes : left);
      for (std::int64_t k = 1; k < count; ++k) {
        const float* q = at[k] + i * t.step(k);
        a = mul(a, in[k].step ? part(q, v) : set1(*q));
      }
      acc[v] = add(acc[v], a);
    });
  }
}

// The same for the commonest terms: dy alone, and dy times one array that is not broadcast along
// the columns.
template <int V, bool Two>
CONVKIT_INLINE void add_plain_columns(const Terms& t, const float* const* at, std::int64_t begin,
                                      std::int64_t end, std::int64_t left, F32 (&acc)[V]) {
  const std::int64_t step = t.step(0), other = Two ? t.step(1) : 0;
  const float *p = at[0] + begin * step, *q = Two ? at[1] + begin * other : nullptr;
  const auto part = [&](const float* from, int v) CONVKIT_LAMBDA {
    return V > 1 ? load(from + v * kLanes) : load_part(from, left);
  };
  for (std::int64_t i = begin; i < end; ++i, p += step, q += other) {
    each<V>([&](auto v) CONVKIT_LAMBDA {
      const F32 a = part(p, v);
      acc[v] = add(acc[v], Two ? mul(a, part(q, v)) : a);
    });
  }
}

// The sums of V vectors of columns.
template <int V>
inline void sum_columns(const Terms& t, const Stream* in, std::int64_t left, float divisor,
                        float* out) {
  alignas(kLanes * sizeof(float)) float block[V * kLanes];
  PairwiseSums<V * kLanes> sums(V * kLanes);
  F32 acc[V];
  each<V>([&](auto v) CONVKIT_LAMBDA { acc[v] = zero(); });
  std::int64_t terms = 0;
  const auto to_block = [&]() CONVKIT_LAMBDA {
    each<V>([&](auto v) CONVKIT_LAMBDA { store(block + v * kLanes, acc[v]); });
  };
  const bool plain = !t.indices && (t.summed.count == 1 || (t.summed.count == 2 && in[1].step));
  t.each_run(in, [&](const float* const* at, std::int64_t n) CONVKIT_LAMBDA {
    for (std::int64_t i = 0; i < n;) {
      if (terms == kSumBlock) {
        to_block();
        sums.add_block(block);
        each<V>([&](auto v) CONVKIT_LAMBDA { acc[v] = zero(); });
        terms = 0;
      }
      const std::int64_t room = kSumBlock - terms, end = n - i < room ? n : i + room;
      if (!plain) {
        add_columns(t, in, at, i, end, left, acc);
      } else if (t.summed.count == 2) {
        add_plain_columns<V, true>(t, at, i, end, left, acc);
      } else {
        add_plain_columns<V, false>(t, at, i, end, left, acc);
      }
      terms += end - i;
      i = end;
    }
  });
  to_block();
  sums.finish(block);
  for (std::int64_t j = 0; j < left && j < V * kLanes; j += kLanes)
    store_part(out + j, div(load(block + j), set1(divisor)), left - j);
}

// One sum, of which every lane has a part.
template <class Sum>
inline float sum_run(const Terms& t, const Stream* in) {
  Sum total;
  const std::int64_t count = t.summed.count;
  t.each_run(in, [&](const float* const* at, std::int64_t n) CONVKIT_LAMBDA {
    each_vector(n, [&](std::int64_t i, std::int64_t left) CONVKIT_LAMBDA {
      F32 a = load_part(at[0] + i, left);
      if (t.indices) a = selected(a, t.indices + (at[0] - t.dy) + i, t.index, left);
      for (std::int64_t k = 1; k < count; ++k)
        a = mul(a, read_inside(at[k] + i * t.step(k), t.step(k), left));
      total.add_value(a);
    });
  });
  return sum_lanes(total.total());
}

// The sums of `width` columns.
inline void sum_row(const Terms& t, const Stream* row, std::int64_t width, float divisor,
                    float* out) {
  Stream in[kMostMerged];
  for (std::int64_t j = 0; j < width;) {
    const std::int64_t left = width - j;
    for (std::int64_t k = 0; k < t.summed.count; ++k)
      in[k] = {row[k].at + j * row[k].step, 0, row[k].step};
    if (left >= 4 * kLanes) {
      sum_columns<4>(t, in, left, divisor, out + j);
      j += 4 * kLanes;
    } else if (left >= 2 * kLanes) {
      sum_columns<2>(t, in, left, divisor, out + j);
      j += 2 * kLanes;
    } else {
      sum_columns<1>(t, in, left, divisor, out + j);
      j += kLanes;
    }
  }
}

// The gradient of an array that was broadcast: positions [begin, end) of it, of which `kept` has
// the axes and `summed` those along which it was broadcast. The first of the arrays is dy, like
// the indices not broadcast. columns: whether the last of all axes is kept.
void merge_sum(const MergeShape& kept, const MergeShape& summed, bool columns,
               const std::uint8_t* indices, int index, float divisor, std::int64_t begin,
               std::int64_t end, float* out) {
  const Terms t{summed, kept.arrays[0], indices, index};
  std::int64_t terms = 1;
  for (std::int64_t axis = 0; axis < summed.axes; ++axis) terms *= summed.sizes[axis];
  each_block(kept, begin, end,
             [&](const Stream* block, std::int64_t first, std::int64_t rows, std::int64_t width) {
               Stream in[kMostMerged];
               for (std::int64_t r = 0; r < rows; ++r, first += width) {
                 for (std::int64_t k = 0; k < kept.count; ++k)
                   in[k] = {block[k].at + r * block[k].row, 0, block[k].step};
                 if (columns) {
                   sum_row(t, in, width, divisor, out + first);
                   continue;
                 }
                 for (std::int64_t j = 0; j < width; ++j) {
                   const float sum = terms <= kSumBlock ? sum_run<ShortSum>(t, in)
                                                        : sum_run<RunningSum<kSumBlock>>(t, in);
                   out[first + j] = sum / divisor;
                   for (std::int64_t k = 0; k < kept.count; ++k) in[k].at += in[k].step;
                 }
               }
             });
}

CONVKIT_END_KERNELS
