// Pixels of red, green and blue whose channels are mixed. Nothing is a fused multiply-add, so that
// every instruction set gives the same bits.
#pragma once

#include "simd.h"

CONVKIT_BEGIN_KERNELS

// f(red, green, blue) changes a vector of each; the pixels have their channels side by side.
template <class F>
inline void each_pixel(float* x, std::int64_t pixels, F f) {
  for (std::int64_t i = 0; i < pixels; i += kLanes, x += 3 * kLanes) {
    const std::int64_t count = pixels - i < kLanes ? pixels - i : kLanes;
    float planes[3][kLanes] = {};
    for (std::int64_t k = 0; k < count; ++k)
      for (int c = 0; c < 3; ++c) planes[c][k] = x[3 * k + c];
    F32 red = load(planes[0]), green = load(planes[1]), blue = load(planes[2]);
    f(red, green, blue);
    store(planes[0], red), store(planes[1], green), store(planes[2], blue);
    for (std::int64_t k = 0; k < count; ++k)
      for (int c = 0; c < 3; ++c) x[3 * k + c] = planes[c][k];
  }
}

// The luminance of ITU-R BT.601, with the digits of Keras and torchvision.
void make_gray(float* x, std::int64_t pixels) {
  each_pixel(x, pixels, [](F32& red, F32& green, F32& blue) {
    const F32 warm = add(mul(set1(0.2989f), red), mul(set1(0.587f), green));
    red = green = blue = add(warm, mul(set1(0.114f), blue));
  });
}

// A NaN stays one.
inline F32 bounded(F32 a, F32 low, F32 high) { return min(high, max(low, a)); }

// From A. R. Smith's hexcone, hue, saturation and value ("Color gamut transform pairs", 1978), and
// back without its six cases: a channel is value times 1 - saturation (1 - w), where w is a
// trapezium over the hue.
void change_colors(float* x, std::int64_t pixels, const ColorChange& given) {
  const F32 one = set1(1.0f), two = set1(2.0f), six = set1(6.0f);
  const F32 low = set1(given.low), range = set1(given.high - given.low);
  const auto from = [&](F32 a) {
    const F32 part = div(sub(a, low), range);
    return select(gt(set1(1.1920929e-7f), abs(part)), zero(), part);  // as Keras does
  };
  const auto back = [&](F32 a) {
    return add(mul(given.clips ? bounded(a, zero(), one) : a, range), low);
  };
  each_pixel(x, pixels, [&](F32& red, F32& green, F32& blue) {
    const F32 r = from(red), g = from(green), b = from(blue);
    const F32 value = select(unordered(r, g), add(r, g), max(max(r, g), b));
    const F32 chroma = sub(value, min(min(r, g), b));
    const Mask has_chroma = gt(chroma, zero());
    const F32 sixth = div(one, mul(six, select(has_chroma, chroma, one)));
    // Of channels that are largest alike, the first one says the sector.
    F32 hue = add(mul(sixth, sub(r, g)), set1(4.0f / 6.0f));
    hue = select(gt(value, g), hue, add(mul(sixth, sub(b, r)), set1(2.0f / 6.0f)));
    hue = select(gt(value, r), hue, mul(sixth, sub(g, b)));
    const F32 turned = add(select(has_chroma, hue, zero()), set1(given.turn));
    const F32 rest = sub(turned, round(turned));
    const F32 place = mul(six, select(gt(zero(), rest), add(rest, one), rest));

    const F32 share = div(chroma, select(gt(value, zero()), value, one));
    const F32 saturation =
        bounded(mul(select(gt(value, zero()), share, zero()), set1(given.saturation)),
                set1(given.least), set1(given.most));
    const F32 pale = sub(one, saturation);
    const auto channel = [&](F32 w) {
      return back(mul(value, add(pale, mul(saturation, bounded(w, zero(), one)))));
    };
    red = channel(sub(abs(sub(place, set1(3.0f))), one));
    green = channel(sub(two, abs(sub(place, two))));
    blue = channel(sub(two, abs(sub(place, set1(4.0f)))));
  });
}

CONVKIT_END_KERNELS
