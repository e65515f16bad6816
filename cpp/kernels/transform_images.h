// What is done to one image at a time, while it is in a core's cache: resampling, factors and
// offsets, the channels' means, and boxes that are filled.
#pragma once

#include "affine_transform.h"
#include "normal_numbers.h"

CONVKIT_BEGIN_KERNELS

typedef float Pixel __attribute__((vector_size(16)));

inline Pixel load_pixel(const float* p) {
  Pixel pixel;
  __builtin_memcpy(&pixel, p, sizeof pixel);
  return pixel;
}

// The same for pixels of 3 or 4 channels but the last one: with a fourth number, that of the next
// pixel, which is written over. kTaps: 2, or 0 for any number.
template <int kChannels, int kTaps>
inline void resample_pixels(const ResampledAxis& columns, const float* row, float* out) {
  const std::int64_t taps = kTaps ? kTaps : columns.taps, last = columns.out - 1;
  const std::int32_t* at = columns.indices;
  const float* weights = columns.weights;
  for (std::int64_t x = 0; x < last; ++x, out += kChannels, at += taps, weights += taps) {
    Pixel sum = weights[0] * load_pixel(row + std::int64_t{at[0]} * kChannels);
    for (std::int64_t t = 1; t < taps; ++t)
      sum += weights[t] * load_pixel(row + std::int64_t{at[t]} * kChannels);
    __builtin_memcpy(out, &sum, sizeof sum);
  }
}

// A row of outputs from a row of inputs, of kChannels channels, or of c.
template <int kChannels>
inline void resample_row(const ResampledAxis& columns, std::int64_t c, const float* row,
                         float* out) {
  if (kChannels) c = kChannels;
  std::int64_t x = 0;
  if (kChannels == 3 || kChannels == 4) {
    if (columns.taps == 2) {
      resample_pixels<kChannels, 2>(columns, row, out);
    } else {
      resample_pixels<kChannels, 0>(columns, row, out);
    }
    x = columns.out - 1, out += x * c;
  }
  for (; x < columns.out; ++x, out += c) {
    const std::int32_t* at = columns.indices + x * columns.taps;
    const float* weights = columns.weights + x * columns.taps;
    for (std::int64_t begin = 0; begin < c; begin += 4) {
      const std::int64_t count = kChannels ? kChannels : c - begin < 4 ? c - begin : 4;
      float sums[4];
      for (std::int64_t k = 0; k < count; ++k) sums[k] = weights[0] * row[at[0] * c + begin + k];
      for (std::int64_t t = 1; t < columns.taps; ++t)
        for (std::int64_t k = 0; k < count; ++k) sums[k] += weights[t] * row[at[t] * c + begin + k];
      for (std::int64_t k = 0; k < count; ++k) out[begin + k] = sums[k];
    }
  }
}

// The rows first, whose neighbours in memory are independent. scratch: a row of the image and one
// number more.
template <class T>
inline void resample(const ResampledAxis& rows, const ResampledAxis& columns, std::int64_t c,
                     const T* image, float* out, float* scratch) {
  const std::int64_t width = columns.size * c;
  scratch[width] = 0.0f;
  for (std::int64_t y = 0; y < rows.out; ++y, out += columns.out * c) {
    const std::int32_t* at = rows.indices + y * rows.taps;
    const float* shares = rows.weights + y * rows.taps;
    const T* first = image + at[0] * width;
    for (std::int64_t i = 0; i < width; ++i) scratch[i] = shares[0] * static_cast<float>(first[i]);
    for (std::int64_t t = 1; t < rows.taps; ++t) {
      if (shares[t] == 0.0f) continue;
      const T* row = image + at[t] * width;
      for (std::int64_t i = 0; i < width; ++i) scratch[i] += shares[t] * static_cast<float>(row[i]);
    }
    switch (c) {
      case 1:
        resample_row<1>(columns, c, scratch, out);
        break;
      case 3:
        resample_row<3>(columns, c, scratch, out);
        break;
      case 4:
        resample_row<4>(columns, c, scratch, out);
        break;
      default:
        resample_row<0>(columns, c, scratch, out);
    }
  }
}

void resample_bytes(const ResampledAxis& rows, const ResampledAxis& columns, std::int64_t c,
                    const std::uint8_t* image, float* out, float* scratch) {
  resample(rows, columns, c, image, out, scratch);
}

void resample_floats(const ResampledAxis& rows, const ResampledAxis& columns, std::int64_t c,
                     const float* image, float* out, float* scratch) {
  resample(rows, columns, c, image, out, scratch);
}

// x = (x - mean) * scale + offset, within the bounds; n floats, of which those `period` apart have
// the same numbers. A NaN stays one.
void scale_image(float* x, std::int64_t n, const float* mean, const float* scale,
                 const float* offset, std::int64_t period, float low, float high) {
  for (std::int64_t i = 0; i < n; i += period) {
    const std::int64_t count = n - i < period ? n - i : period;
    for (std::int64_t j = 0; j < count; j += kLanes) {
      const std::int64_t left = count - j;
      F32 a = sub(load_part(x + i + j, left), load_part(mean + j, left));
      a = fma(a, load_part(scale + j, left), load_part(offset + j, left));
      store_part(x + i + j, min(set1(high), max(set1(low), a)), left);
    }
  }
}

// The means of c channels, of n floats. Sums of at most kBlock numbers are float32; pattern: room
// for kPatternLanes * c of them.
void channel_means(const float* x, std::int64_t n, std::int64_t c, float* pattern, double* means) {
  constexpr std::int64_t kBlock = 64;
  const std::int64_t period = kPatternLanes * c;
  for (std::int64_t k = 0; k < c; ++k) means[k] = 0.0;
  for (std::int64_t begin = 0; begin < n; begin += kBlock * period) {
    const std::int64_t end = n - begin < kBlock * period ? n : begin + kBlock * period;
    for (std::int64_t j = 0; j < period; ++j) pattern[j] = 0.0f;
    for (std::int64_t i = begin; i < end; i += period) {
      const std::int64_t count = end - i < period ? end - i : period;
      for (std::int64_t j = 0; j < count; j += kLanes) {
        const F32 sum = add(load_part(pattern + j, count - j), load_part(x + i + j, count - j));
        store_part(pattern + j, sum, count - j);
      }
    }
    for (std::int64_t j = 0; j < period; ++j) means[j % c] += static_cast<double>(pattern[j]);
  }
  for (std::int64_t k = 0; k < c; ++k) means[k] *= static_cast<double>(c) / static_cast<double>(n);
}

// Normal numbers times a deviation, within the bounds: n floats from a counter on.
void bounded_noise(float* y, std::int64_t n, std::uint64_t counter, std::uint64_t seed,
                   std::uint64_t offset, float deviation, float low, float high) {
  const PhiloxKeys keys(seed);
  U64 counters = counters_from(0) + counter;
  for (std::int64_t i = 0; i < n; i += kDrawVectors * kLanes) {
    F32 numbers[kDrawVectors];
    normal_numbers(counters, offset, keys, numbers);
    counters += static_cast<std::uint64_t>(kSideBySide * kCounters);
    for (int v = 0; v < kDrawVectors; ++v) {
      const std::int64_t at = i + v * kLanes;
      if (at >= n) return;
      const F32 noise = mul(numbers[v], set1(deviation));
      store_part(y + at, min(set1(high), max(set1(low), noise)), n - at);
    }
  }
}

// Numbers in [0, 1), the upper 24 bits of a random word each: elements [begin, end), begin a
// multiple of 4.
void uniform(float* y, std::int64_t begin, std::int64_t end, std::uint64_t seed,
             std::uint64_t offset) {
  const PhiloxKeys keys(seed);
  U64 counters = counters_from(begin);
  for (std::int64_t i = begin; i < end; i += kDrawVectors * kLanes) {
    F32 words[kDrawVectors];
    philox(counters, offset, keys, words);
    counters += static_cast<std::uint64_t>(kSideBySide * kCounters);
    for (int v = 0; v < kDrawVectors; ++v) {
      const std::int64_t at = i + v * kLanes;
      if (at >= end) return;
      // 24 bits are exact as a float: the upper 12 and the lower 12 put together.
      const U32 word = reinterpret_cast<U32>(words[v]);
      const F32 upper = sub(reinterpret_cast<F32>((word >> 20) | 0x4B000000u), set1(8388608.0f));
      const F32 lower =
          sub(reinterpret_cast<F32>(((word >> 8) & 0xFFFu) | 0x4B000000u), set1(8388608.0f));
      const F32 whole = add(mul(upper, set1(4096.0f)), lower);
      store_part(y + at, mul(whole, set1(1.0f / 16777216.0f)), end - at);
    }
  }
}

CONVKIT_END_KERNELS
