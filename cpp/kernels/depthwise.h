// Depthwise convolution: every channel by itself, so vectors run along the channels and no sum goes
// across them. The forward pass and, phase by phase of the stride, the input gradient are one
// kernel, depthwise_correlate. Positions in the padding are left out of the sums, not multiplied.
#pragma once

#include "gemm.h"

CONVKIT_BEGIN_KERNELS

// Neighbouring output positions of one register tile: enough independent sums to hide the latency
// of a multiply-add, few enough for the smallest register file.
constexpr int kDepthwisePositions = 8;
// Kernel columns of one register tile of the weight gradient.
constexpr int kDepthwiseTaps = 4;

template <bool Tail>
CONVKIT_INLINE F32 load_channels(const float* p, std::int64_t n) {
  return Tail ? load_n(p, static_cast<int>(n)) : load(p);
}

template <bool Tail>
CONVKIT_INLINE void store_channels(float* p, F32 a, std::int64_t n) {
  if (Tail) {
    store_n(p, a, static_cast<int>(n));
  } else {
    store(p, a);
  }
}

// The grid columns [begin, end) for which w0 + q * step is inside the source for every w0 in
// [first, last].
struct InsideColumns {
  std::int64_t begin, end;

  InsideColumns(std::int64_t first, std::int64_t last, std::int64_t step, std::int64_t size,
                std::int64_t grid) {
    begin = first < 0 ? ceil_div(-first, step) : 0;
    end = last < size ? ceil_div(size - last, step) : 0;
    if (begin > grid) begin = grid;
    if (end > grid) end = grid;
    if (end < begin) end = begin;
  }
};

// One row of the grid with the taps that fall on a row of the source.
struct DepthwiseRow {
  const Tap *taps, *taps_end;
  std::int64_t source;  // floats from s.src to the row's source position (0, 0)
  float* out;           // the row's output position 0

  DepthwiseRow(const Correlation& s, std::int64_t row)
      : taps(s.taps), taps_end(s.taps + s.tap_count) {
    const std::int64_t n = row / s.grid_h, qh = row % s.grid_h, h = qh * s.src_step_h;
    // Taps are in the order of the kernel's rows, so those inside are neighbours.
    while (taps < taps_end && !is_inside(h + taps->h, s.src_h)) ++taps;
    while (taps < taps_end && !is_inside(h + taps_end[-1].h, s.src_h)) --taps_end;
    source = (n * s.src_h + h) * s.src_w * s.src_ld;
    const std::int64_t oh = s.out_first_h + qh * s.out_step_h;
    out = s.out + ((n * s.out_h + oh) * s.out_w + s.out_first_w) * s.out_ld;
  }
};

// Channels [c, c + kLanes), or with Tail the n last ones, of Positions output positions from qw on.
// With Edge some taps fall outside.
template <int Positions, bool Tail, bool Edge>
CONVKIT_INLINE void depthwise_tile(const Correlation& s, const DepthwiseRow& row, std::int64_t qw,
                                   std::int64_t c, std::int64_t n) {
  const std::int64_t w = qw * s.src_step_w, step = s.src_step_w * s.src_ld;
  F32 acc[Positions];
  const F32 start = s.bias ? load_channels<Tail>(s.bias + c, n) : zero();
  each<Positions>([&](auto p) CONVKIT_LAMBDA { acc[p] = start; });
  for (const Tap* tap = row.taps; tap < row.taps_end; ++tap) {
    if (Edge && !is_inside(w + tap->w, s.src_w)) continue;
    const F32 weight = load_channels<Tail>(tap->weights + c, n);
    const float* x = s.src + (row.source + (tap->h * s.src_w + w + tap->w) * s.src_ld + c);
    each<Positions>([&](auto p) CONVKIT_LAMBDA {
      acc[p] = fma(load_channels<Tail>(x + p * step, n), weight, acc[p]);
    });
  }
  float* out = row.out + qw * s.out_step_w * s.out_ld + c;
  each<Positions>([&](auto p) CONVKIT_LAMBDA {
    float* to = out + p * s.out_step_w * s.out_ld;
    F32 a = acc[p];
    if (s.residual) a = add(a, load_channels<Tail>(s.residual + (to - s.out), n));
    // max(0, a) keeps a NaN, as ReLU should.
    store_channels<Tail>(to, s.relu ? max(zero(), a) : a, n);
  });
}

template <int Positions, bool Edge>
inline void depthwise_positions(const Correlation& s, const DepthwiseRow& row, std::int64_t qw) {
  std::int64_t c = 0;
  for (; c + kLanes <= s.cols; c += kLanes)
    depthwise_tile<Positions, false, Edge>(s, row, qw, c, kLanes);
  if (c < s.cols) depthwise_tile<Positions, true, Edge>(s, row, qw, c, s.cols - c);
}

// Rows [begin, end) of n * grid_h, of a correlation in which each of the `cols` channels of the
// source, not a sum over them, gives its own channel of the output: a tap's weights are (cols,),
// and k, ldw and zeros are not used.
void depthwise_correlate(const Correlation& s, std::int64_t begin, std::int64_t end) {
  std::int64_t first = 0, last = 0;
  for (std::int64_t t = 0; t < s.tap_count; ++t) {
    const std::int64_t w = s.taps[t].w;
    if (t == 0 || w < first) first = w;
    if (t == 0 || w > last) last = w;
  }
  const InsideColumns inside(first, last, s.src_step_w, s.src_w, s.grid_w);
  for (std::int64_t i = begin; i < end; ++i) {
    const DepthwiseRow row(s, i);
    std::int64_t qw = 0;
    for (; qw < inside.begin; ++qw) depthwise_positions<1, true>(s, row, qw);
    while (qw < inside.end) {
      const std::int64_t left = inside.end - qw;
      if (left >= kDepthwisePositions) {
        depthwise_positions<kDepthwisePositions, false>(s, row, qw);
        qw += kDepthwisePositions;
      } else if (left >= 4) {
        depthwise_positions<4, false>(s, row, qw);
        qw += 4;
      } else {
        depthwise_positions<1, false>(s, row, qw);
        qw += 1;
      }
    }
    for (; qw < s.grid_w; ++qw) depthwise_positions<1, true>(s, row, qw);
  }
}

// A few neighbouring columns of the kernel in the weight gradient.
struct DepthwiseTaps {
  std::int64_t kw, count;
  std::int64_t w;  // the first tap's offset in input columns
  InsideColumns inside;

  DepthwiseTaps(const ConvShape& s, std::int64_t kw)
      : kw(kw),
        count(s.kw - kw < kDepthwiseTaps ? s.kw - kw : kDepthwiseTaps),
        w(kw * s.dilation_w - s.pad_left),
        inside(w, w + (count - 1) * s.dilation_w, s.stride_w, s.w, s.ow) {}
};

// Adds to dw, at the first of Taps neighbouring kernel positions, what one row of x and of dy give.
// The row is summed by itself first: long sums of few partial sums round less.
template <int Taps, int Vectors, bool Tail>
inline void depthwise_weights(const ConvShape& s, const DepthwiseTaps& taps, const float* x,
                              const float* dy, float* dw, std::int64_t n) {
  const std::int64_t tap_step = s.dilation_w * s.c;
  F32 acc[Taps][Vectors];
  each_of_tile<Taps, Vectors>([&](auto t, auto v) CONVKIT_LAMBDA { acc[t][v] = zero(); });
  const auto add_products = [&](std::int64_t ow, auto edge) CONVKIT_LAMBDA {
    const std::int64_t w = ow * s.stride_w + taps.w;
    F32 g[Vectors];
    each<Vectors>(
        [&](auto v) CONVKIT_LAMBDA { g[v] = load_channels<Tail>(dy + ow * s.c + v * kLanes, n); });
    each<Taps>([&](auto t) CONVKIT_LAMBDA {
      if (edge && !is_inside(w + t * s.dilation_w, s.w)) return;
      each<Vectors>([&](auto v) CONVKIT_LAMBDA {
        const float* from = x + (w * s.c + t * tap_step + v * kLanes);
        acc[t][v] = fma(load_channels<Tail>(from, n), g[v], acc[t][v]);
      });
    });
  };
  std::int64_t ow = 0;
  for (; ow < taps.inside.begin; ++ow) add_products(ow, Index<1>{});
  for (; ow < taps.inside.end; ++ow) add_products(ow, Index<0>{});
  for (; ow < s.ow; ++ow) add_products(ow, Index<1>{});
  each_of_tile<Taps, Vectors>([&](auto t, auto v) CONVKIT_LAMBDA {
    float* p = dw + t * s.c + v * kLanes;
    store_channels<Tail>(p, add(load_channels<Tail>(p, n), acc[t][v]), n);
  });
}

template <int Vectors, bool Tail>
inline void depthwise_weights_of(const ConvShape& s, const DepthwiseTaps& taps, const float* x,
                                 const float* dy, float* dw, std::int64_t n) {
  static_assert(kDepthwiseTaps == 4, "one case for each count of taps");
  switch (taps.count) {
    case 4:
      return depthwise_weights<4, Vectors, Tail>(s, taps, x, dy, dw, n);
    case 3:
      return depthwise_weights<3, Vectors, Tail>(s, taps, x, dy, dw, n);
    case 2:
      return depthwise_weights<2, Vectors, Tail>(s, taps, x, dy, dw, n);
    default:
      return depthwise_weights<1, Vectors, Tail>(s, taps, x, dy, dw, n);
  }
}

// Adds to dw (KH, KW, C) what images [n_begin, n_end) give for the channels [c_begin, c_end), of a
// depthwise convolution with as many output channels as input channels.
void depthwise_backward_weights(const ConvShape& s, const float* x, const float* dy, float* dw,
                                std::int64_t n_begin, std::int64_t n_end, std::int64_t c_begin,
                                std::int64_t c_end) {
  for (std::int64_t n = n_begin; n < n_end; ++n) {
    for (std::int64_t kw = 0; kw < s.kw; kw += kDepthwiseTaps) {
      const DepthwiseTaps taps(s, kw);
      // A row of dy and the rows of x under it stay in a first-level cache for all their taps.
      for (std::int64_t oh = 0; oh < s.oh; ++oh) {
        const float* dy_row = dy + (n * s.oh + oh) * s.ow * s.c;
        for (std::int64_t c = c_begin; c < c_end;) {
          const std::int64_t left = c_end - c;
          for (std::int64_t kh = 0; kh < s.kh; ++kh) {
            const std::int64_t h = oh * s.stride_h + kh * s.dilation_h - s.pad_top;
            if (!is_inside(h, s.h)) continue;
            const float* x_row = x + (n * s.h + h) * s.w * s.c + c;
            float* to = dw + (kh * s.kw + kw) * s.c + c;
            if (left >= 2 * kLanes) {
              depthwise_weights_of<2, false>(s, taps, x_row, dy_row + c, to, kLanes);
            } else if (left >= kLanes) {
              depthwise_weights_of<1, false>(s, taps, x_row, dy_row + c, to, kLanes);
            } else {
              depthwise_weights_of<1, true>(s, taps, x_row, dy_row + c, to, left);
            }
          }
          c += left >= 2 * kLanes ? 2 * kLanes : left >= kLanes ? kLanes : left;
        }
      }
    }
  }
}

template <int Times>
inline void repeat_each(const float* x, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; ++i)
    for (int m = 0; m < Times; ++m) out[i * Times + m] = x[i];
}

template <int Times>
inline void add_each(const float* x, std::int64_t count, bool accumulate, float* out) {
  for (std::int64_t i = 0; i < count; ++i) {
    float sum = x[i * Times];
    for (int m = 1; m < Times; ++m) sum += x[i * Times + m];
    out[i] = accumulate ? out[i] + sum : sum;
  }
}

// Each of `count` floats `times` times in a row. With the counts of most models the compiler turns
// the loop into permutations of vectors.
void repeat_channels(const float* x, std::int64_t count, std::int64_t times, float* out) {
  if (times == 2) return repeat_each<2>(x, count, out);
  if (times == 3) return repeat_each<3>(x, count, out);
  if (times == 4) return repeat_each<4>(x, count, out);
  if (times == 8) return repeat_each<8>(x, count, out);
  for (std::int64_t i = 0; i < count; ++i)
    for (std::int64_t m = 0; m < times; ++m) out[i * times + m] = x[i];
}

// The sums of each `times` neighbours, from the first to the last: `count` of them, added to what
// is in out where `accumulate` is set.
void add_channels(const float* x, std::int64_t count, std::int64_t times, bool accumulate,
                  float* out) {
  if (times == 2) return add_each<2>(x, count, accumulate, out);
  if (times == 3) return add_each<3>(x, count, accumulate, out);
  if (times == 4) return add_each<4>(x, count, accumulate, out);
  if (times == 8) return add_each<8>(x, count, accumulate, out);
  for (std::int64_t i = 0; i < count; ++i) {
    float sum = x[i * times];
    for (std::int64_t m = 1; m < times; ++m) sum += x[i * times + m];
    out[i] = accumulate ? out[i] + sum : sum;
  }
}

CONVKIT_END_KERNELS
