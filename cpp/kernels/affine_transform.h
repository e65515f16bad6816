// Images behind an affine transform, pixel by pixel: where an output lies in the input, and what is
// there. Every step is a single addition, multiplication or conversion, so that all instruction
// sets give the same bits.
#pragma once

#include "simd.h"

CONVKIT_BEGIN_KERNELS

// No input is further away; so coordinates are exact, and fit integers with what is added to them.
constexpr float kFarthest = 4194304.0f;

CONVKIT_INLINE float within(float a, float most) {
  a = a < -most ? -most : a;
  return a > most ? most : a;
}

CONVKIT_INLINE std::int32_t floor_of(float a) {
  const std::int32_t whole = static_cast<std::int32_t>(a);
  return whole - (static_cast<float>(whole) > a ? 1 : 0);
}

// To nearest, ties to even, for |a| <= 2^22.
CONVKIT_INLINE std::int32_t nearest_of(float a) {
  const float magic = 12582912.0f;
  return static_cast<std::int32_t>((a + magic) - magic);
}

// The index in [0, n) that any other one stands for, -1 for the constant.
inline std::int64_t folded(std::int64_t i, std::int64_t n, FillMode mode) {
  if (i >= 0 && i < n) return i;
  if (mode == FillMode::kConstant) return -1;
  if (mode == FillMode::kNearest) return i < 0 ? 0 : n - 1;
  const std::int64_t period = mode == FillMode::kWrap ? n : 2 * n;
  i %= period;
  if (i < 0) i += period;
  return i < n ? i : period - 1 - i;
}

// The same for neighbouring outputs, of which the first and the last are the furthest apart.
inline void fold(std::int32_t* indices, std::int64_t count, std::int64_t size, FillMode mode) {
  const std::int32_t n = static_cast<std::int32_t>(size);
  const std::int32_t a = indices[0], b = indices[count - 1];
  const std::int32_t low = a < b ? a : b, high = a < b ? b : a;
  if (low >= 0 && high < n) return;
  if (mode == FillMode::kNearest) {
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int32_t k = indices[i] < 0 ? 0 : indices[i];
      indices[i] = k < n ? k : n - 1;
    }
  } else if (low < -n || high >= 2 * n) {
    for (std::int64_t i = 0; i < count; ++i)
      indices[i] = static_cast<std::int32_t>(folded(indices[i], n, mode));
  } else if (mode == FillMode::kReflect) {
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int32_t k = indices[i] < 0 ? -1 - indices[i] : indices[i];
      indices[i] = k < n ? k : 2 * n - 1 - k;
    }
  } else {
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int32_t k = indices[i] < 0 ? indices[i] + n : indices[i];
      indices[i] = k < n ? k : k - n;
    }
  }
}

template <class T>
inline void as_floats(const T* from, std::int64_t n, float* to) {
  for (std::int64_t i = 0; i < n; ++i) to[i] = static_cast<float>(from[i]);
}

// Where the outputs of one axis lie that are neighbours as their inputs are: output i is between
// the inputs start + i and the next one, or, reversed, start - i and the next one.
struct ShiftedAxis {
  std::int64_t start;
  bool reversed;
  float far;  // the share of the next input
};

// Whether an axis is one; `slope` and `first` say where its outputs lie.
inline bool as_shift(float slope, float first, bool bilinear, ShiftedAxis* axis) {
  if (slope != 1.0f && slope != -1.0f) return false;
  first = within(first, kFarthest);
  axis->reversed = slope < 0.0f;
  axis->start = floor_of(first);
  axis->far = first - static_cast<float>(axis->start);
  if (bilinear) return true;
  if (axis->far == 0.5f) return false;  // which neighbour is nearest depends on the output
  if (axis->far > 0.5f) ++axis->start;
  axis->far = 0.0f;
  return true;
}

// `count` neighbouring pixels of a row, from those of output 0 on; of constants if there is no row.
template <class T>
inline void load_pixels(const AffineShape& s, const ShiftedAxis& axis, const T* row,
                        std::int64_t count, float* to) {
  const std::int64_t c = s.c, step = axis.reversed ? -1 : 1;
  const std::int64_t start = axis.start + (axis.reversed && axis.far != 0.0f ? 1 : 0);
  const auto constant = [&](std::int64_t i) CONVKIT_LAMBDA {
    for (std::int64_t k = 0; k < c; ++k) to[i * c + k] = s.fill[k];
  };
  if (!row) {
    for (std::int64_t i = 0; i < count; ++i) constant(i);
    return;
  }
  // The outputs whose inputs are in the row.
  std::int64_t begin = axis.reversed ? start - s.w + 1 : -start;
  std::int64_t end = axis.reversed ? start + 1 : s.w - start;
  begin = begin < 0 ? 0 : begin < count ? begin : count;
  end = end < begin ? begin : end < count ? end : count;
  for (std::int64_t i = 0; i < count; ++i) {
    if (i == begin) i = end;
    if (i == count) break;
    const std::int64_t at = folded(start + step * i, s.w, s.fill_mode);
    if (at < 0) {
      constant(i);
    } else {
      as_floats(row + at * c, c, to + i * c);
    }
  }
  if (!axis.reversed) {
    as_floats(row + (start + begin) * c, (end - begin) * c, to + begin * c);
  } else if (c == 3) {
    for (std::int64_t i = begin; i < end; ++i) {
      const T* pixel = row + (start - i) * 3;
      to[i * 3] = pixel[0], to[i * 3 + 1] = pixel[1], to[i * 3 + 2] = pixel[2];
    }
  } else {
    for (std::int64_t i = begin; i < end; ++i) as_floats(row + (start - i) * c, c, to + i * c);
  }
}

// to = (1 - far) * a + far * b, n floats.
inline void blend_rows(const float* a, const float* b, float far, std::int64_t n, float* to) {
  const F32 one = set1(1.0f - far), other = set1(far);
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const F32 sum = add(mul(one, load_part(a + i, n - i)), mul(other, load_part(b + i, n - i)));
    store_part(to + i, sum, n - i);
  }
}

// One row of outputs, between columns.
template <class T>
inline void shifted_row(const AffineShape& s, const ShiftedAxis& axis, const T* row, float* padded,
                        float* to) {
  if (axis.far == 0.0f) return load_pixels(s, axis, row, s.ow, to);
  load_pixels(s, axis, row, s.ow + 1, padded);
  const float *one = padded, *other = padded + s.c;
  if (axis.reversed) one = padded + s.c, other = padded;
  blend_rows(one, other, axis.far, s.ow * s.c, to);
}

// scratch: three rows of ow + 1 pixels.
template <class T>
inline void shifted_image(const AffineShape& s, const ShiftedAxis& rows, const ShiftedAxis& columns,
                          const T* image, float* out, float* scratch) {
  const std::int64_t n = s.ow * s.c;
  float *padded = scratch, *near = padded + n + s.c, *next = near + n;
  const auto row_of = [&](std::int64_t r) CONVKIT_LAMBDA {
    const std::int64_t at = folded(r, s.h, s.fill_mode);
    return at < 0 ? static_cast<const T*>(nullptr) : image + at * s.w * s.c;
  };
  for (std::int64_t y = 0; y < s.oh; ++y, out += n) {
    const std::int64_t r = rows.reversed ? rows.start - y : rows.start + y;
    if (rows.far == 0.0f) {
      shifted_row(s, columns, row_of(r), padded, out);
      continue;
    }
    // One of both is the last output's.
    float* former = near;
    if (y > 0) near = next, next = former;
    if (y == 0 || rows.reversed) shifted_row(s, columns, row_of(r), padded, near);
    if (y == 0 || !rows.reversed) shifted_row(s, columns, row_of(r + 1), padded, next);
    blend_rows(near, next, rows.far, n, out);
  }
}

// Where the outputs of a row lie: their upper left inputs and the shares of the next ones, or their
// nearest inputs.
struct RowPlaces {
  std::int32_t *x, *y, *next_x, *next_y;
  float *far_x, *far_y;

  RowPlaces(std::int32_t* integers, float* floats, std::int64_t n)
      : x(integers),
        y(x + n),
        next_x(y + n),
        next_y(next_x + n),
        far_x(floats),
        far_y(floats + n) {}

  CONVKIT_INLINE void find(const AffineShape& s, const float* m, std::int64_t row) {
    const float up = static_cast<float>(row);
    const float first_x = m[1] * up + m[2], first_y = m[4] * up + m[5];
    if (s.bilinear) {
      for (std::int64_t i = 0; i < s.ow; ++i) {
        const float across = static_cast<float>(static_cast<std::int32_t>(i));
        const float at_x = within(m[0] * across + first_x, kFarthest);
        const float at_y = within(m[3] * across + first_y, kFarthest);
        x[i] = floor_of(at_x), y[i] = floor_of(at_y);
        far_x[i] = at_x - static_cast<float>(x[i]), far_y[i] = at_y - static_cast<float>(y[i]);
      }
    } else {
      for (std::int64_t i = 0; i < s.ow; ++i) {
        const float across = static_cast<float>(static_cast<std::int32_t>(i));
        x[i] = nearest_of(within(m[0] * across + first_x, kFarthest));
        y[i] = nearest_of(within(m[3] * across + first_y, kFarthest));
      }
    }
  }

  // Whether all are in the image, with the next ones: the places of a row are on a line.
  bool inside(const AffineShape& s) const {
    const std::int64_t last = s.ow - 1, more = s.bilinear ? 1 : 0;
    const auto fits = [&](std::int32_t at, std::int64_t size)
                          CONVKIT_LAMBDA { return at >= 0 && at + more < size; };
    return fits(x[0], s.w) && fits(x[last], s.w) && fits(y[0], s.h) && fits(y[last], s.h);
  }
};

// A bilinear output's shares of its four inputs.
struct Shares {
  float a, b, c, d;

  CONVKIT_INLINE Shares(float far_x, float far_y) {
    const float near_x = 1.0f - far_x, near_y = 1.0f - far_y;
    a = near_y * near_x, b = near_y * far_x, c = far_y * near_x, d = far_y * far_x;
  }
  template <class T>
  CONVKIT_INLINE float of(T one, T two, T three, T four) const {
    const float e = static_cast<float>(one), f = static_cast<float>(two);
    const float g = static_cast<float>(three), h = static_cast<float>(four);
    return ((a * e + b * f) + c * g) + d * h;
  }
};

// C: the channels, 0 where they are only known from s.
template <int C, class T>
inline void row_inside(const AffineShape& s, const RowPlaces& places, const T* image, float* out) {
  const std::int64_t c = C ? C : s.c, down = s.w * c;
  for (std::int64_t i = 0; i < s.ow; ++i) {
    const T* p = image + places.y[i] * down + places.x[i] * c;
    if (!s.bilinear) {
      for (std::int64_t k = 0; k < c; ++k) out[i * c + k] = static_cast<float>(p[k]);
      continue;
    }
    const Shares shares(places.far_x[i], places.far_y[i]);
    for (std::int64_t k = 0; k < c; ++k)
      out[i * c + k] = shares.of(p[k], p[c + k], p[down + k], p[down + c + k]);
  }
}

// Behind `fold`: all places are in the image.
template <int C, class T>
inline void row_folded(const AffineShape& s, const RowPlaces& places, const T* image, float* out) {
  const std::int64_t c = C ? C : s.c, down = s.w * c;
  for (std::int64_t i = 0; i < s.ow; ++i) {
    const T *row = image + places.y[i] * down, *next = image + places.next_y[i] * down;
    const std::int64_t x = places.x[i] * c, next_x = places.next_x[i] * c;
    const Shares shares(places.far_x[i], places.far_y[i]);
    for (std::int64_t k = 0; k < c; ++k)
      out[i * c + k] = shares.of(row[x + k], row[next_x + k], next[x + k], next[next_x + k]);
  }
}

// A row of which some inputs are the constant.
template <class T>
inline void row_of_constants(const AffineShape& s, const RowPlaces& places, const T* image,
                             float* out) {
  const auto value = [&](std::int64_t y, std::int64_t x, std::int64_t k) CONVKIT_LAMBDA {
    const bool inside = y >= 0 && y < s.h && x >= 0 && x < s.w;
    return inside ? static_cast<float>(image[(y * s.w + x) * s.c + k]) : s.fill[k];
  };
  for (std::int64_t i = 0; i < s.ow; ++i) {
    const std::int64_t x = places.x[i], y = places.y[i];
    for (std::int64_t k = 0; k < s.c; ++k) {
      float* to = out + i * s.c + k;
      *to = value(y, x, k);
      if (!s.bilinear) continue;
      const Shares shares(places.far_x[i], places.far_y[i]);
      *to = shares.of(*to, value(y, x + 1, k), value(y + 1, x, k), value(y + 1, x + 1, k));
    }
  }
}

template <int C, class T>
inline void any_row(const AffineShape& s, RowPlaces& places, const T* image, float* out) {
  if (places.inside(s)) return row_inside<C>(s, places, image, out);
  if (s.fill_mode == FillMode::kConstant) return row_of_constants(s, places, image, out);
  if (s.bilinear) {
    for (std::int64_t i = 0; i < s.ow; ++i) {
      places.next_x[i] = places.x[i] + 1;
      places.next_y[i] = places.y[i] + 1;
    }
    fold(places.next_x, s.ow, s.w, s.fill_mode);
    fold(places.next_y, s.ow, s.h, s.fill_mode);
  }
  fold(places.x, s.ow, s.w, s.fill_mode);
  fold(places.y, s.ow, s.h, s.fill_mode);
  if (s.bilinear) {
    row_folded<C>(s, places, image, out);
  } else {
    row_inside<C>(s, places, image, out);
  }
}

// One image. floats: 3 (ow + 1) (c + 1) of them; integers: 4 ow.
template <class T>
inline void affine_transform(const AffineShape& s, const float* m, const T* image, float* out,
                             float* floats, std::int32_t* integers) {
  ShiftedAxis rows, columns;
  if (m[1] == 0.0f && m[3] == 0.0f && as_shift(m[0], m[2], s.bilinear, &columns) &&
      as_shift(m[4], m[5], s.bilinear, &rows))
    return shifted_image(s, rows, columns, image, out, floats);
  RowPlaces places(integers, floats, s.ow);
  for (std::int64_t row = 0; row < s.oh; ++row, out += s.ow * s.c) {
    places.find(s, m, row);
    if (s.c == 1) {
      any_row<1>(s, places, image, out);
    } else if (s.c == 3) {
      any_row<3>(s, places, image, out);
    } else {
      any_row<0>(s, places, image, out);
    }
  }
}

void affine_transform_bytes(const AffineShape& s, const float* m, const std::uint8_t* image,
                            float* out, float* floats, std::int32_t* integers) {
  affine_transform(s, m, image, out, floats, integers);
}

void affine_transform_floats(const AffineShape& s, const float* m, const float* image, float* out,
                             float* floats, std::int32_t* integers) {
  affine_transform(s, m, image, out, floats, integers);
}

CONVKIT_END_KERNELS
