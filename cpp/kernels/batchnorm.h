// Batch normalisation (Ioffe and Szegedy, 2015) over rows of C channels. Statistics are taken per
// fixed block of rows, in two passes over the block while it is in cache, and combined by the
// caller in a fixed order, so that they are accurate and do not depend on the number of threads.
#pragma once

#include "columns.h"
#include "pairwise.h"

CONVKIT_BEGIN_KERNELS

// The mean and the sum of squared deviations of rows [begin, end), per channel.
void batchnorm_statistics(const float* x, std::int64_t c, std::int64_t begin, std::int64_t end,
                          float* mean, float* deviations) {
  const F32 count = set1(static_cast<float>(end - begin));
  each_columns(c, [&](auto columns) {
    constexpr int V = decltype(columns)::count;
    F32 sum[2][V], m[V], squares[2][V];
    each_of_tile<2, V>([&](auto i, auto v) CONVKIT_LAMBDA { sum[i][v] = squares[i][v] = zero(); });
    const auto add_row = [&](std::int64_t r, auto i) CONVKIT_LAMBDA {
      each<V>([&](auto v)
                  CONVKIT_LAMBDA { sum[i][v] = add(sum[i][v], columns.load(x + r * c, v)); });
    };
    const auto add_squares = [&](std::int64_t r, auto i) CONVKIT_LAMBDA {
      each<V>([&](auto v) CONVKIT_LAMBDA {
        const F32 d = sub(columns.load(x + r * c, v), m[v]);
        squares[i][v] = fma(d, d, squares[i][v]);
      });
    };
    std::int64_t r = begin;
    for (; r + 1 < end; r += 2) add_row(r, Index<0>{}), add_row(r + 1, Index<1>{});
    if (r < end) add_row(r, Index<0>{});
    each<V>([&](auto v) CONVKIT_LAMBDA { m[v] = div(add(sum[0][v], sum[1][v]), count); });
    for (r = begin; r + 1 < end; r += 2) add_squares(r, Index<0>{}), add_squares(r + 1, Index<1>{});
    if (r < end) add_squares(r, Index<0>{});
    each<V>([&](auto v) CONVKIT_LAMBDA {
      columns.store(mean, v, m[v]);
      columns.store(deviations, v, add(squares[0][v], squares[1][v]));
    });
  });
}

// y = x * scale + shift, plus a residual that is not null, then ReLU when asked for, for rows
// [begin, end). The residual may be y.
void batchnorm_normalise(const float* x, const float* scale, const float* shift,
                         const float* residual, bool relu, float* y, std::int64_t c,
                         std::int64_t begin, std::int64_t end) {
  each_columns(c, [&](auto columns) {
    constexpr int V = decltype(columns)::count;
    F32 a[V], b[V];
    each<V>([&](auto v)
                CONVKIT_LAMBDA { a[v] = columns.load(scale, v), b[v] = columns.load(shift, v); });
    for (std::int64_t r = begin; r < end; ++r) {
      each<V>([&](auto v) CONVKIT_LAMBDA {
        F32 z = fma(columns.load(x + r * c, v), a[v], b[v]);
        if (residual) z = add(z, columns.load(residual + r * c, v));
        columns.store(y + r * c, v, relu ? max(zero(), z) : z);
      });
    }
  });
}

// The same without a residual, then max-pooled by windows of 2 x 2: output rows [begin, end) of N *
// OH, and the position of each maximum in its window. s has no padding.
void batchnorm_max_pool2d(const PoolShape& s, const float* x, const float* scale,
                          const float* shift, bool relu, float* y, std::uint8_t* indices,
                          std::int64_t begin, std::int64_t end) {
  for (std::int64_t row = begin; row < end; ++row) {
    const float* top = x + (row / s.oh * s.h + row % s.oh * 2) * s.w * s.c;
    each_columns(s.c, [&](auto columns) {
      constexpr int V = decltype(columns)::count;
      F32 a[V], b[V];
      each<V>([&](auto v)
                  CONVKIT_LAMBDA { a[v] = columns.load(scale, v), b[v] = columns.load(shift, v); });
      for (std::int64_t ow = 0; ow < s.ow; ++ow) {
        const float* corner = top + 2 * ow * s.c;
        const std::int64_t out = (row * s.ow + ow) * s.c;
        each<V>([&](auto v) CONVKIT_LAMBDA {
          F32 best = zero();
          I32 where = set1_i(0);
          each<4>([&](auto k) CONVKIT_LAMBDA {
            const F32 z = fma(columns.load(corner + (k / 2 * s.w + k % 2) * s.c, v), a[v], b[v]);
            const F32 here = relu ? max(zero(), z) : z;
            const Mask m = takes_over(here, best);
            best = k == 0 ? here : select(m, here, best);
            where = k == 0 ? where : select_i(m, set1_i(k), where);
          });
          columns.store(y + out, v, best);
          columns.store_index(indices + out, v, where);
        });
      }
    });
  }
}

// Gradient of the normalised output; with ReLU, zero where that output, computed again with the
// same operations as in the forward pass, was not positive.
inline F32 through_relu(F32 dy, F32 x, F32 scale, F32 shift, bool relu) {
  return relu ? select(gt(fma(x, scale, shift), zero()), dy, zero()) : dy;
}

// sum_dy += dy and sum_dy_xhat += dy * (x - mean) * rstd over rows [begin, end).
void batchnorm_reduce(const float* dy, const float* x, const float* scale, const float* shift,
                      const float* mean, const float* rstd, bool relu, std::int64_t c,
                      std::int64_t begin, std::int64_t end, float* sum_dy, float* sum_dy_xhat) {
  each_columns(c, [&](auto columns) {
    constexpr int V = decltype(columns)::count;
    F32 a[V], b[V], m[V], s0[V], s1[V];
    each<V>([&](auto v) CONVKIT_LAMBDA {
      a[v] = columns.load(scale, v), b[v] = columns.load(shift, v), m[v] = columns.load(mean, v);
      s0[v] = s1[v] = zero();
    });
    for (std::int64_t r = begin; r < end; ++r) {
      each<V>([&](auto v) CONVKIT_LAMBDA {
        const F32 xv = columns.load(x + r * c, v);
        const F32 g = through_relu(columns.load(dy + r * c, v), xv, a[v], b[v], relu);
        s0[v] = add(s0[v], g);
        s1[v] = fma(g, sub(xv, m[v]), s1[v]);
      });
    }
    each<V>([&](auto v) CONVKIT_LAMBDA {
      columns.store(sum_dy, v, s0[v]);
      columns.store(sum_dy_xhat, v, mul(s1[v], columns.load(rstd, v)));
    });
  });
}

// g = dy where y > 0, elsewhere 0, and the same sums of it: ReLU was behind a sum y of the
// normalised output and others, whose gradient is g, too. g may be dy.
void batchnorm_reduce_masked(const float* dy, const float* y, const float* x, const float* mean,
                             const float* rstd, float* g, std::int64_t c, std::int64_t begin,
                             std::int64_t end, float* sum_dy, float* sum_dy_xhat) {
  each_columns(c, [&](auto columns) {
    constexpr int V = decltype(columns)::count;
    F32 m[V], s0[V], s1[V];
    each<V>([&](auto v) CONVKIT_LAMBDA { m[v] = columns.load(mean, v), s0[v] = s1[v] = zero(); });
    for (std::int64_t r = begin; r < end; ++r) {
      each<V>([&](auto v) CONVKIT_LAMBDA {
        const F32 open = columns.load(y + r * c, v), d = columns.load(dy + r * c, v);
        const F32 through = select(gt(open, zero()), d, zero());
        columns.store(g + r * c, v, through);
        s0[v] = add(s0[v], through);
        s1[v] = fma(through, sub(columns.load(x + r * c, v), m[v]), s1[v]);
      });
    }
    each<V>([&](auto v) CONVKIT_LAMBDA {
      columns.store(sum_dy, v, s0[v]);
      columns.store(sum_dy_xhat, v, mul(s1[v], columns.load(rstd, v)));
    });
  });
}

// Those sums where the output was max-pooled by windows of 2 x 2, for pooled rows [begin, end) of
// N * OH: dy (N, OH, OW, C) concerns one position of each window. With y, the pooled output behind
// ReLU, dy counts where it is positive.
void batchnorm_reduce_pooled(const PoolShape& s, const float* dy, const float* y,
                             const std::uint8_t* indices, const float* x, const float* mean,
                             const float* rstd, std::int64_t begin, std::int64_t end, float* sum_dy,
                             float* sum_dy_xhat) {
  each_columns(s.c, [&](auto columns) {
    constexpr int V = decltype(columns)::count;
    constexpr int kSize = 2 * V * kLanes;
    alignas(64) float block[kSize];
    PairwiseSums<kSize> sums(kSize);
    F32 m[V], s0[V], s1[V];
    each<V>([&](auto v) CONVKIT_LAMBDA { m[v] = columns.load(mean, v), s0[v] = s1[v] = zero(); });
    const auto store_block = [&]() CONVKIT_LAMBDA {
      each<V>([&](auto v) CONVKIT_LAMBDA {
        store(block + v * kLanes, s0[v]);
        store(block + (V + v) * kLanes, s1[v]);
      });
    };
    const auto add_windows = [&](std::int64_t row, std::int64_t first,
                                 std::int64_t last) CONVKIT_LAMBDA {
      const float* top = x + (row / s.oh * s.h + row % s.oh * 2) * s.w * s.c;
      for (std::int64_t ow = first; ow < last; ++ow) {
        const std::int64_t at = (row * s.ow + ow) * s.c;
        const float* corner = top + 2 * ow * s.c;
        each<V>([&](auto v) CONVKIT_LAMBDA {
          const I32 where = columns.load_index(indices + at, v);
          F32 z = columns.load(corner, v);
          each<4, 1>([&](auto k) CONVKIT_LAMBDA {
            const F32 here = columns.load(corner + (k / 2 * s.w + k % 2) * s.c, v);
            z = select(eq_i(where, set1_i(k)), here, z);
          });
          const F32 d = columns.load(dy + at, v);
          const F32 g = y ? select(gt(columns.load(y + at, v), zero()), d, zero()) : d;
          s0[v] = add(s0[v], g);
          s1[v] = fma(g, sub(z, m[v]), s1[v]);
        });
      }
    };
    if ((end - begin) * s.ow <= kLongPlane) {
      for (std::int64_t row = begin; row < end; ++row) add_windows(row, 0, s.ow);
    } else {
      for (std::int64_t row = begin; row < end; ++row) {
        for (std::int64_t ow = 0; ow < s.ow; ow += kSumBlock) {
          add_windows(row, ow, ow + kSumBlock < s.ow ? ow + kSumBlock : s.ow);
          store_block();
          sums.add_block(block);
          each<V>([&](auto v) CONVKIT_LAMBDA { s0[v] = s1[v] = zero(); });
        }
      }
      store_block();
      sums.finish(block);
      each<V>([&](auto v) CONVKIT_LAMBDA {
        s0[v] = load(block + v * kLanes);
        s1[v] = load(block + (V + v) * kLanes);
      });
    }
    each<V>([&](auto v) CONVKIT_LAMBDA {
      columns.store(sum_dy, v, s0[v]);
      columns.store(sum_dy_xhat, v, mul(s1[v], columns.load(rstd, v)));
    });
  });
}

// dx = scale * (dy - mean_dy - xhat * mean_dy_xhat) for rows [begin, end), added to what dx holds
// where asked for.
void batchnorm_backward(const float* dy, const float* x, const float* scale, const float* shift,
                        const float* mean, const float* rstd, const float* mean_dy,
                        const float* mean_dy_xhat, bool relu, bool add_to_dx, float* dx,
                        std::int64_t c, std::int64_t begin, std::int64_t end) {
  each_columns(c, [&](auto columns) {
    constexpr int V = decltype(columns)::count;
    F32 a[V], b[V], m[V], mg[V], k[V];
    each<V>([&](auto v) CONVKIT_LAMBDA {
      a[v] = columns.load(scale, v), b[v] = columns.load(shift, v);
      m[v] = columns.load(mean, v), mg[v] = columns.load(mean_dy, v);
      k[v] = mul(columns.load(rstd, v), columns.load(mean_dy_xhat, v));
    });
    for (std::int64_t r = begin; r < end; ++r) {
      each<V>([&](auto v) CONVKIT_LAMBDA {
        const F32 xv = columns.load(x + r * c, v);
        const F32 g = through_relu(columns.load(dy + r * c, v), xv, a[v], b[v], relu);
        const F32 centred = fnma(sub(xv, m[v]), k[v], sub(g, mg[v]));
        const F32 value = mul(a[v], centred);
        columns.store(dx + r * c, v, add_to_dx ? add(columns.load(dx + r * c, v), value) : value);
      });
    }
  });
}

// Column sums of rows [begin, end): bias gradients.
void sum_rows(const float* x, std::int64_t c, std::int64_t begin, std::int64_t end, float* sum) {
  each_columns(c, [&](auto columns) {
    constexpr int V = decltype(columns)::count;
    F32 s[4][V];
    each_of_tile<4, V>([&](auto i, auto v) CONVKIT_LAMBDA { s[i][v] = zero(); });
    std::int64_t r = begin;
    for (; r + 3 < end; r += 4) {
      each_of_tile<4, V>([&](auto i, auto v) CONVKIT_LAMBDA {
        s[i][v] = add(s[i][v], columns.load(x + (r + i) * c, v));
      });
    }
    for (; r < end; ++r) {
      each<V>([&](auto v) CONVKIT_LAMBDA { s[0][v] = add(s[0][v], columns.load(x + r * c, v)); });
    }
    each<V>([&](auto v) CONVKIT_LAMBDA {
      columns.store(sum, v, add(add(s[0][v], s[1][v]), add(s[2][v], s[3][v])));
    });
  });
}

// out = dy where y > 0, else 0, and its column sums: ReLU and bias in one pass over rows
// [begin, end). out may be dy.
void relu_sum_rows(const float* dy, const float* y, std::int64_t c, std::int64_t begin,
                   std::int64_t end, float* out, float* sum) {
  each_columns(c, [&](auto columns) {
    constexpr int V = decltype(columns)::count;
    F32 s[2][V];
    each_of_tile<2, V>([&](auto i, auto v) CONVKIT_LAMBDA { s[i][v] = zero(); });
    const auto add_row = [&](std::int64_t r, auto i) CONVKIT_LAMBDA {
      each<V>([&](auto v) CONVKIT_LAMBDA {
        const F32 open = columns.load(y + r * c, v);
        const F32 g = select(gt(open, zero()), columns.load(dy + r * c, v), zero());
        columns.store(out + r * c, v, g);
        s[i][v] = add(s[i][v], g);
      });
    };
    std::int64_t r = begin;
    for (; r + 1 < end; r += 2) add_row(r, Index<0>{}), add_row(r + 1, Index<1>{});
    if (r < end) add_row(r, Index<0>{});
    each<V>([&](auto v) CONVKIT_LAMBDA { columns.store(sum, v, add(s[0][v], s[1][v])); });
  });
}

// Eight numbers in double precision, which the compiler has in as many registers as they need.
constexpr int kDoubles = 8;
using F64s = double __attribute__((vector_size(64)));
using Floats = float __attribute__((vector_size(32)));

template <int Width>
CONVKIT_INLINE void load_doubles(const float* p, F64s& to) {
  Floats from = {};
  __builtin_memcpy(&from, p, Width * sizeof(float));
  to = __builtin_convertvector(from, F64s);
}

// Calls f(channel, how many vectors, how wide) for all of c: several lines of memory at a time, as
// far as there are so many.
template <class F>
inline void each_doubles(std::int64_t c, const F& f) {
  std::int64_t j = 0;
  for (; j + 4 * kDoubles <= c; j += 4 * kDoubles) f(j, Index<4>{}, Index<kDoubles>{});
  for (; j + kDoubles <= c; j += kDoubles) f(j, Index<1>{}, Index<kDoubles>{});
  for (; j < c; ++j) f(j, Index<1>{}, Index<1>{});
}

// total (c) = the sum of the rows of blocks (count, c).
void add_blocks(const float* blocks, std::int64_t count, std::int64_t c, float* total) {
  each_doubles(c, [&](std::int64_t j, auto vectors, auto width) {
    F64s sums[vectors] = {}, row;
    for (std::int64_t i = 0; i < count; ++i) {
      for (int v = 0; v < vectors; ++v) {
        load_doubles<width>(blocks + i * c + j + v * kDoubles, row);
        sums[v] += row;
      }
    }
    for (int k = 0; k < vectors * width; ++k)
      total[j + k] = static_cast<float>(sums[k / kDoubles][k % kDoubles]);
  });
}

// sum [begin, end) of `count` arrays of `size` floats: pairs, then pairs of pairs, where levels, if
// there are any, say of which of these sums an array is one. Some neighbours of each are read
// together, for there are more arrays than streams that the hardware follows.
void add_parts(const float* parts, const std::uint8_t* levels, std::int64_t count,
               std::int64_t size, std::int64_t begin, std::int64_t end, float* sum) {
  constexpr std::int64_t kTogether = 8 * kLanes;
  alignas(64) float last[kTogether] = {};
  for (std::int64_t at = begin; at < end; at += kTogether) {
    const std::int64_t wide = end - at < kTogether ? end - at : kTogether;
    const auto part = [&](std::int64_t p) {
      __builtin_memcpy(last, parts + p * size + at, wide * sizeof(float));
      return last;
    };
    PairwiseSums<kTogether> sums(kTogether);
    for (std::int64_t p = 0; p + 1 < count; ++p)
      sums.add_block(wide == kTogether ? parts + p * size + at : part(p), levels ? levels[p] : 0);
    part(count - 1);
    sums.finish(last);
    __builtin_memcpy(sum + at, last, wide * sizeof(float));
  }
}

// The mean and the sum of squared deviations of all rows from those of blocks (count, c) of them.
// share[i]: what part block i is of the rows up to its end; spread[i]: that times the number of
// the rows before it.
void add_statistics(const float* means, const float* deviations, std::int64_t count, std::int64_t c,
                    const double* share, const double* spread, double* mean, double* deviation) {
  each_doubles(c, [&](std::int64_t j, auto vectors, auto width) {
    F64s m[vectors] = {}, d[vectors] = {}, delta, more;
    for (std::int64_t i = 0; i < count; ++i) {
      for (int v = 0; v < vectors; ++v) {
        load_doubles<width>(means + i * c + j + v * kDoubles, delta);
        load_doubles<width>(deviations + i * c + j + v * kDoubles, more);
        delta -= m[v];
        d[v] += more + delta * delta * spread[i];
        m[v] += delta * share[i];
      }
    }
    for (int k = 0; k < vectors * width; ++k) {
      mean[j + k] = m[k / kDoubles][k % kDoubles];
      deviation[j + k] = d[k / kDoubles][k % kDoubles];
    }
  });
}

CONVKIT_END_KERNELS
