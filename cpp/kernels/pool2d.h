// Max and average pooling, vectorised over channels. Forward works on output rows (n, oh), backward
// on whole images, so that no two tasks write the same place.
#pragma once

#include "maximum.h"
#include "pairwise.h"

CONVKIT_BEGIN_KERNELS

// The part of one output position's window that is inside the image.
struct Window {
  std::int64_t h0, w0;  // input position of the window's corner; may be negative
  std::int64_t kh_begin, kh_end, kw_begin, kw_end;
};

inline Window window_at(const PoolShape& s, std::int64_t oh, std::int64_t ow) {
  Window a;
  a.h0 = oh * s.stride_h - s.pad_top;
  a.w0 = ow * s.stride_w - s.pad_left;
  a.kh_begin = a.h0 < 0 ? -a.h0 : 0;
  a.kw_begin = a.w0 < 0 ? -a.w0 : 0;
  a.kh_end = s.h - a.h0 < s.kh ? s.h - a.h0 : s.kh;
  a.kw_end = s.w - a.w0 < s.kw ? s.w - a.w0 : s.kw;
  return a;
}

// y and the window position kh * KW + kw of each maximum, for output rows [begin, end) of N * OH.
template <class Index>
inline void max_pool2d_rows(const PoolShape& s, const float* x, float* y, Index* indices,
                            std::int64_t begin, std::int64_t end) {
  for (std::int64_t row = begin; row < end; ++row) {
    const float* image = x + row / s.oh * s.h * s.w * s.c;
    for (std::int64_t ow = 0; ow < s.ow; ++ow) {
      const Window a = window_at(s, row % s.oh, ow);
      const std::int64_t out = (row * s.ow + ow) * s.c;
      for (std::int64_t c = 0; c < s.c; c += kLanes) {
        const std::int64_t n = s.c - c;
        const float* corner = image + c;
        F32 best = load_part(corner + ((a.h0 + a.kh_begin) * s.w + a.w0 + a.kw_begin) * s.c, n);
        I32 where = set1_i(static_cast<int>(a.kh_begin * s.kw + a.kw_begin));
        for (std::int64_t kh = a.kh_begin; kh < a.kh_end; ++kh) {
          for (std::int64_t kw = a.kw_begin; kw < a.kw_end; ++kw) {
            const F32 v = load_part(corner + ((a.h0 + kh) * s.w + a.w0 + kw) * s.c, n);
            const Mask m = takes_over(v, best);
            best = select(m, v, best);
            where = select_i(m, set1_i(static_cast<int>(kh * s.kw + kw)), where);
          }
        }
        store_part(y + out + c, best, n);
        store_indices(indices + out + c, where, n);
      }
    }
  }
}

inline void clear(float* p, std::int64_t n) {
  for (std::int64_t i = 0; i < n; i += kLanes) store_part(p + i, zero(), n - i);
}

// Whether every position of the image is in exactly one window.
inline bool windows_tile(const PoolShape& s) {
  return s.stride_h == s.kh && s.stride_w == s.kw && s.pad_top == 0 && s.pad_left == 0 &&
         s.oh * s.kh == s.h && s.ow * s.kw == s.w;
}

// dx of images [begin, end) for windows of 2 x 2 side by side, with one index a byte.
inline void max_pool2d_pairs_backward(const PoolShape& s, const float* dy,
                                      const std::uint8_t* indices, float* dx, std::int64_t begin,
                                      std::int64_t end) {
  for (std::int64_t row = begin * s.oh; row < end * s.oh; ++row) {
    for (std::int64_t ow = 0; ow < s.ow; ++ow) {
      const std::int64_t at = (row * s.ow + ow) * s.c;
      float* corner = dx + 2 * (row * s.w + ow) * s.c;
      for (std::int64_t c = 0; c < s.c; c += kLanes) {
        const std::int64_t n = s.c - c;
        const F32 g = load_part(dy + at + c, n);
        const I32 where = load_indices(indices + at + c, n);
        for (int k = 0; k < 4; ++k)
          store_part(corner + (k / 2 * s.w + k % 2) * s.c + c,
                     select(eq_i(where, set1_i(k)), g, zero()), n);
      }
    }
  }
}

// dx of images [begin, end). Windows may overlap: each adds its gradient where its maximum was. An
// index outside the window adds nothing.
template <class Index>
inline void max_pool2d_images_backward(const PoolShape& s, const float* dy, const Index* indices,
                                       float* dx, std::int64_t begin, std::int64_t end) {
  const bool apart = windows_tile(s);
  for (std::int64_t i = begin; i < end; ++i) {
    float* image = dx + i * s.h * s.w * s.c;
    if (!apart) clear(image, s.h * s.w * s.c);
    for (std::int64_t p = 0; p < s.oh * s.ow; ++p) {
      const Window a = window_at(s, p / s.ow, p % s.ow);
      const std::int64_t out = (i * s.oh * s.ow + p) * s.c;
      for (std::int64_t c = 0; c < s.c; c += kLanes) {
        const std::int64_t n = s.c - c;
        const F32 g = load_part(dy + out + c, n);
        const I32 where = load_indices(indices + out + c, n);
        for (std::int64_t kh = a.kh_begin; kh < a.kh_end; ++kh) {
          for (std::int64_t kw = a.kw_begin; kw < a.kw_end; ++kw) {
            float* d = image + ((a.h0 + kh) * s.w + a.w0 + kw) * s.c + c;
            const Mask m = eq_i(where, set1_i(static_cast<int>(kh * s.kw + kw)));
            const F32 here = select(m, g, zero());
            store_part(d, apart ? here : add(load_part(d, n), here), n);
          }
        }
      }
    }
  }
}

// wide: indices are int32 instead of uint8.
void max_pool2d_forward(const PoolShape& s, const float* x, float* y, void* indices, bool wide,
                        std::int64_t begin, std::int64_t end) {
  if (wide) {
    max_pool2d_rows(s, x, y, static_cast<std::int32_t*>(indices), begin, end);
  } else {
    max_pool2d_rows(s, x, y, static_cast<std::uint8_t*>(indices), begin, end);
  }
}

void max_pool2d_backward(const PoolShape& s, const float* dy, const void* indices, bool wide,
                         float* dx, std::int64_t begin, std::int64_t end) {
  if (wide) {
    max_pool2d_images_backward(s, dy, static_cast<const std::int32_t*>(indices), dx, begin, end);
  } else if (s.kh == 2 && s.kw == 2 && windows_tile(s)) {
    max_pool2d_pairs_backward(s, dy, static_cast<const std::uint8_t*>(indices), dx, begin, end);
  } else {
    max_pool2d_images_backward(s, dy, static_cast<const std::uint8_t*>(indices), dx, begin, end);
  }
}

// Values of a large window that are added one by one; their sums are added up in pairs.
constexpr int kPoolRun = 32;

// The mean of a large window's n channels from c on. Apart from the loop over windows, which the
// compiler makes slower code of otherwise.
__attribute__((noinline)) F32 mean_of_large(const PoolShape& s, const float* image, const Window& a,
                                            F32 count, std::int64_t c, std::int64_t n) {
  RunningSum<kPoolRun> sum;
  for (std::int64_t kh = a.kh_begin; kh < a.kh_end; ++kh) {
    const float* row = image + ((a.h0 + kh) * s.w + a.w0) * s.c + c;
    for (std::int64_t kw = a.kw_begin; kw < a.kw_end; ++kw)
      sum.add_value(load_part(row + kw * s.c, n));
  }
  return div(sum.total(), count);
}

// The mean over the part of each window inside the image, for output rows [begin, end) of N * OH.
void average_pool2d_forward(const PoolShape& s, const float* x, float* y, std::int64_t begin,
                            std::int64_t end) {
  for (std::int64_t row = begin; row < end; ++row) {
    const float* image = x + row / s.oh * s.h * s.w * s.c;
    for (std::int64_t ow = 0; ow < s.ow; ++ow) {
      const Window a = window_at(s, row % s.oh, ow);
      const std::int64_t size = (a.kh_end - a.kh_begin) * (a.kw_end - a.kw_begin);
      const F32 count = set1(static_cast<float>(size));
      if (size > kLongPlane) {
        float* to = y + (row * s.ow + ow) * s.c;
        for (std::int64_t c = 0; c < s.c; c += kLanes)
          store_part(to + c, mean_of_large(s, image, a, count, c, s.c - c), s.c - c);
        continue;
      }
      for (std::int64_t c = 0; c < s.c; c += kLanes) {
        const std::int64_t n = s.c - c;
        F32 sum = zero();
        for (std::int64_t kh = a.kh_begin; kh < a.kh_end; ++kh)
          for (std::int64_t kw = a.kw_begin; kw < a.kw_end; ++kw)
            sum = add(sum, load_part(image + ((a.h0 + kh) * s.w + a.w0 + kw) * s.c + c, n));
        store_part(y + (row * s.ow + ow) * s.c + c, div(sum, count), n);
      }
    }
  }
}

// Windows of more than kOverlap positions which overlap: a position's gradient is a long sum then.
constexpr std::int64_t kOverlap = 64;

// The windows [begin, end) along an axis that hold position i.
struct Holders {
  std::int64_t begin, end;

  Holders(std::int64_t i, std::int64_t pad, std::int64_t kernel, std::int64_t stride,
          std::int64_t count) {
    const std::int64_t first = i + pad - kernel + 1;
    begin = first > 0 ? ceil_div(first, stride) : 0;
    end = (i + pad) / stride + 1 < count ? (i + pad) / stride + 1 : count;
  }
};

// dx of one image there, position by position: the sum of its windows' shares in pairs of blocks.
inline void average_pool2d_gather(const PoolShape& s, const float* dy, float* dx) {
  for (std::int64_t p = 0; p < s.h * s.w; ++p) {
    const Holders rows(p / s.w, s.pad_top, s.kh, s.stride_h, s.oh);
    const Holders columns(p % s.w, s.pad_left, s.kw, s.stride_w, s.ow);
    for (std::int64_t c = 0; c < s.c; c += kLanes) {
      const std::int64_t n = s.c - c;
      RunningSum<kPoolRun> sum;
      for (std::int64_t oh = rows.begin; oh < rows.end; ++oh) {
        for (std::int64_t ow = columns.begin; ow < columns.end; ++ow) {
          const Window a = window_at(s, oh, ow);
          const std::int64_t size = (a.kh_end - a.kh_begin) * (a.kw_end - a.kw_begin);
          const F32 g = load_part(dy + (oh * s.ow + ow) * s.c + c, n);
          sum.add_value(div(g, set1(static_cast<float>(size))));
        }
      }
      store_part(dx + p * s.c + c, sum.total(), n);
    }
  }
}

void average_pool2d_backward(const PoolShape& s, const float* dy, float* dx, std::int64_t begin,
                             std::int64_t end) {
  const bool overlap = s.stride_h < s.kh || s.stride_w < s.kw;
  for (std::int64_t i = begin; i < end; ++i) {
    if (overlap && s.oh * s.ow > 1 && s.kh * s.kw > kOverlap) {
      average_pool2d_gather(s, dy + i * s.oh * s.ow * s.c, dx + i * s.h * s.w * s.c);
      continue;
    }
    float* image = dx + i * s.h * s.w * s.c;
    clear(image, s.h * s.w * s.c);
    for (std::int64_t p = 0; p < s.oh * s.ow; ++p) {
      const Window a = window_at(s, p / s.ow, p % s.ow);
      const F32 count = set1(static_cast<float>((a.kh_end - a.kh_begin) * (a.kw_end - a.kw_begin)));
      for (std::int64_t c = 0; c < s.c; c += kLanes) {
        const std::int64_t n = s.c - c;
        const F32 g = div(load_part(dy + (i * s.oh * s.ow + p) * s.c + c, n), count);
        for (std::int64_t kh = a.kh_begin; kh < a.kh_end; ++kh) {
          for (std::int64_t kw = a.kw_begin; kw < a.kw_end; ++kw) {
            float* d = image + ((a.h0 + kh) * s.w + a.w0 + kw) * s.c + c;
            store_part(d, add(load_part(d, n), g), n);
          }
        }
      }
    }
  }
}

CONVKIT_END_KERNELS
