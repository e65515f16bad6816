#include "transform_images.h"

#include <algorithm>
#include <limits>

#include "../dispatch/cpu.h"
#include "parallel.h"
#include "ranks.h"
#include "scratch.h"

namespace convkit::ops {
namespace {

using Kind = ImageStep::Kind;

constexpr std::int64_t kElementsPerTask = 1 << 14;  // a multiple of 4: those of whole counters

// The memory that a thread needs for any image.
struct Needs {
  std::int64_t image = 0, floats = 0, integers = 0, pattern = 0, channels = 0;

  explicit Needs(const std::vector<ImageStep>& steps) {
    for (const ImageStep& s : steps) {
      image = std::max(image, product(s.h, s.w, s.c));
      channels = std::max(channels, s.c);
      pattern = std::max(pattern, product(kPatternLanes, s.c));
      if (s.kind == Kind::kAffine) {
        image = std::max(image, product(s.affine.oh, s.affine.ow, s.c));
        floats = std::max(floats, product(3, s.affine.ow + 1, s.c + 1));
        integers = std::max(integers, product(4, s.affine.ow));
      } else if (s.kind == Kind::kResample) {
        image = std::max(image, product(s.rows.out, s.columns.out, s.c));
        floats = std::max(floats, product(s.w, s.c) + 1);
      } else if (s.kind == Kind::kScale) {
        pattern = std::max(pattern, s.count);
      }
    }
  }
};

struct Memory {
  float* images[2];
  float *floats, *mean, *scale, *offset;
  std::int32_t* integers;
  double* means;

  Memory(Scratch& scratch, const Needs& needs)
      : images{scratch.take(needs.image), scratch.take(needs.image)},
        floats(scratch.take(needs.floats)),
        mean(scratch.take(needs.pattern)),
        scale(scratch.take(needs.pattern)),
        offset(scratch.take(needs.pattern)),
        integers(scratch.take<std::int32_t>(needs.integers)),
        means(scratch.take<double>(needs.channels)) {}
};

void move_pixels(const ImageStep& s, std::int64_t i, const void* from, bool bytes,
                 const Memory& memory, float* to) {
  const auto* b = static_cast<const std::uint8_t*>(from);
  const auto* f = static_cast<const float*>(from);
  if (s.kind == Kind::kAffine) {
    const float* m = s.matrices + 6 * i;
    if (bytes) {
      kernels().affine_transform_bytes(s.affine, m, b, to, memory.floats, memory.integers);
    } else {
      kernels().affine_transform_floats(s.affine, m, f, to, memory.floats, memory.integers);
    }
  } else if (bytes) {
    kernels().resample_bytes(s.rows, s.columns, s.c, b, to, memory.floats);
  } else {
    kernels().resample_floats(s.rows, s.columns, s.c, f, to, memory.floats);
  }
}

void copy_pixels(std::int64_t size, const void* from, bool bytes, float* to) {
  if (bytes) {
    kernels().gather_bytes(static_cast<const std::uint8_t*>(from), 1.0f, to, size);
  } else {
    kernels().gather_floats(static_cast<const float*>(from), 1.0f, to, size);
  }
}

void scale(const ImageStep& s, const Memory& memory, float* image) {
  const std::int64_t size = s.h * s.w * s.c;
  const float infinity = std::numeric_limits<float>::infinity();
  if (s.count == size) {
    kernels().scale_image(image, size, s.mean, s.scale, s.offset, size, -infinity, infinity);
    return;
  }
  const std::int64_t period = kPatternLanes * s.c;
  for (std::int64_t j = 0; j < period; ++j) {
    memory.mean[j] = s.mean[j % s.c];
    memory.scale[j] = s.scale[j % s.c];
    memory.offset[j] = s.offset[j % s.c];
  }
  kernels().scale_image(image, size, memory.mean, memory.scale, memory.offset, period, -infinity,
                        infinity);
}

void adjust(const ImageStep& s, std::int64_t i, const Memory& memory, float* image) {
  const std::int64_t size = s.h * s.w * s.c, period = kPatternLanes * s.c;
  std::fill_n(memory.means, s.c, 0.0);
  if (s.around_mean) kernels().channel_means(image, size, s.c, memory.mean, memory.means);
  for (std::int64_t j = 0; j < period; ++j) {
    const std::int64_t k = j % s.c;
    memory.mean[j] = static_cast<float>(memory.means[k]);
    memory.scale[j] = s.scale[i * s.c + k];
    memory.offset[j] = s.offset[i * s.c + k] + memory.mean[j];
  }
  kernels().scale_image(image, size, memory.mean, memory.scale, memory.offset, period, s.low,
                        s.high);
}

// `place` is the image's in the whole batch, which other processes may share.
void erase(const ImageStep& s, std::int64_t i, std::int64_t place, float* image) {
  const std::int64_t* box = s.boxes + 4 * i;
  const std::int64_t top = box[0], bottom = box[1], left = box[2], right = box[3];
  if (left == right) return;
  const std::int64_t count = (right - left) * s.c, counters = ceil_div(s.w * s.c, 4);
  for (std::int64_t y = top; y < bottom; ++y) {
    float* row = image + (y * s.w + left) * s.c;
    if (s.fill) {
      for (std::int64_t j = 0; j < count; ++j) row[j] = s.fill[j % s.c];
    } else {
      // Each row of each image has counters of its own.
      const auto first = static_cast<std::uint64_t>((place * s.h + y) * counters);
      kernels().bounded_noise(row, count, first, s.seed, s.offset_of_noise, s.deviation, s.low,
                              s.high);
    }
  }
}

void change_colors(const ImageStep& s, std::int64_t i, float* image) {
  ColorChange change = s.change;
  change.turn = s.turns[i], change.saturation = s.saturations[i];
  kernels().change_colors(image, s.h * s.w, change);
}

}  // namespace

void transform_images(std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c,
                      const void* source, bool bytes, const std::int64_t* indices,
                      const std::vector<ImageStep>& steps, std::int64_t out_size, float* out) {
  const Needs needs(steps);
  const std::int64_t size = h * w * c, stride = bytes ? size : 4 * size;
  const auto last = static_cast<std::int64_t>(
      steps.rend() - std::find_if(steps.rbegin(), steps.rend(),
                                  [](const ImageStep& s) { return s.moves_pixels(); }));
  const auto work =
      product(n, std::max(size, out_size), static_cast<std::int64_t>(steps.size()) + 4);
  const std::int64_t first_place = first_element(n, n);
  const auto transform = [&](std::int64_t i, const Memory& memory) {
    const std::int64_t at = indices ? indices[i] : i;
    const void* from = static_cast<const std::uint8_t*>(source) + at * stride;
    float* image = nullptr;
    bool has_floats = false;  // which are `image`, and `from`
    int other = 0;
    for (std::int64_t k = 0; k <= static_cast<std::int64_t>(steps.size()); ++k) {
      const bool ends = k == static_cast<std::int64_t>(steps.size());
      const bool moves = !ends && steps[k].moves_pixels();
      if (moves || !has_floats) {
        float* to = (moves ? k + 1 : 0) == last || ends ? out + i * out_size : memory.images[other];
        other = 1 - other;
        if (moves) {
          move_pixels(steps[k], i, from, bytes && !has_floats, memory, to);
        } else {
          copy_pixels(size, from, bytes, to);
        }
        from = image = to;
        has_floats = true;
        if (moves) continue;
      }
      if (ends) break;
      switch (steps[k].kind) {
        case Kind::kScale:
          scale(steps[k], memory, image);
          break;
        case Kind::kAdjust:
          adjust(steps[k], i, memory, image);
          break;
        case Kind::kGray:
          if (steps[k].chosen[i]) kernels().make_gray(image, steps[k].h * steps[k].w);
          break;
        case Kind::kColors:
          change_colors(steps[k], i, image);
          break;
        default:
          erase(steps[k], i, first_place + i, image);
      }
    }
  };
  parallel_for(n, work, [&](Scratch& scratch) { return Memory(scratch, needs); }, transform);
}

void uniform(float* y, std::int64_t n, std::uint64_t seed, std::uint64_t offset) {
  parallel_ranges(n, kElementsPerTask, 2, [&](std::int64_t begin, std::int64_t end) {
    kernels().uniform(y, begin, end, seed, offset);
  });
}

}  // namespace convkit::ops
