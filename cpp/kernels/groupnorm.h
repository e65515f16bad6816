// Group normalisation (Wu and He, 2018) of rows of C channels, whose statistics are an image's and
// a group's. Sums go by channels, as batch normalisation's do: `ops/groupnorm.cpp` puts those of a
// group together.
#pragma once

#include "columns.h"

CONVKIT_BEGIN_KERNELS

// y = (x - mean) * scale + shift for rows [begin, end); shift may be null. The difference first,
// for it is exact where x is near a large mean.
void groupnorm_normalise(const float* x, const float* mean, const float* scale, const float* shift,
                         float* y, std::int64_t c, std::int64_t begin, std::int64_t end) {
  each_columns(c, [&](auto columns) {
    constexpr int V = decltype(columns)::count;
    F32 m[V], a[V], b[V];
    each<V>([&](auto v) CONVKIT_LAMBDA {
      m[v] = columns.load(mean, v), a[v] = columns.load(scale, v);
      b[v] = shift ? columns.load(shift, v) : zero();
    });
    for (std::int64_t r = begin; r < end; ++r) {
      each<V>([&](auto v) CONVKIT_LAMBDA {
        columns.store(y + r * c, v, fma(sub(columns.load(x + r * c, v), m[v]), a[v], b[v]));
      });
    }
  });
}

// dx = dy * scale - shift - (x - mean) * slope for rows [begin, end). dx may be dy or x.
void groupnorm_backward(const float* dy, const float* x, const float* mean, const float* scale,
                        const float* shift, const float* slope, float* dx, std::int64_t c,
                        std::int64_t begin, std::int64_t end) {
  each_columns(c, [&](auto columns) {
    constexpr int V = decltype(columns)::count;
    F32 m[V], a[V], b[V], k[V];
    each<V>([&](auto v) CONVKIT_LAMBDA {
      m[v] = columns.load(mean, v), a[v] = columns.load(scale, v);
      b[v] = columns.load(shift, v), k[v] = columns.load(slope, v);
    });
    for (std::int64_t r = begin; r < end; ++r) {
      each<V>([&](auto v) CONVKIT_LAMBDA {
        const F32 own = fnma(sub(columns.load(x + r * c, v), m[v]), k[v],
                             sub(mul(columns.load(dy + r * c, v), a[v]), b[v]));
        columns.store(dx + r * c, v, own);
      });
    }
  });
}

CONVKIT_END_KERNELS
