#include "groupnorm.h"

#include <algorithm>
#include <cmath>

#include "../dispatch/cpu.h"
#include "batchnorm.h"
#include "pack.h"
#include "parallel.h"
#include "ranks.h"

namespace convkit::ops {
namespace {

constexpr std::int64_t kElementsPerTask = 1 << 14;
// Vectors whose products are summed together: fixed, so that the sums' order is.
constexpr std::int64_t kVectorsPerBlock = 256;

// An image at a time, while it is in a core's cache, where there are enough of them; else all
// blocks, then all images' statistics, then all blocks. The values are the same.
template <class First, class Between, class Last>
void each_image(const RowBlocks& blocks, const First& first, const Between& between,
                const Last& last) {
  const std::int64_t work = blocks.images * blocks.rows * blocks.c;
  if (blocks.images >= num_threads()) {
    parallel_for(blocks.images, 2 * work, [&](std::int64_t image) {
      const std::int64_t begin = image * blocks.of_image, end = begin + blocks.of_image;
      for (std::int64_t block = begin; block < end; ++block) first(block);
      between(image);
      for (std::int64_t block = begin; block < end; ++block) last(block);
    });
    return;
  }
  parallel_for(blocks.count(), work, first);
  for (std::int64_t image = 0; image < blocks.images; ++image) between(image);
  parallel_for(blocks.count(), work, last);
}

// A group's mean and rstd from the means and squared deviations of its channels in each block.
void group_statistics(const GroupShape& s, const RowBlocks& blocks, std::int64_t image,
                      std::int64_t group, const float* means, const float* deviations,
                      double epsilon, float* mean, float* rstd) {
  const std::int64_t width = s.c / s.groups, first = group * width;
  const std::int64_t begin = image * blocks.of_image, end = begin + blocks.of_image;
  const double count = static_cast<double>(s.rows) * static_cast<double>(width);
  double sum = 0.0;
  for (std::int64_t block = begin; block < end; ++block) {
    double part = 0.0;
    for (std::int64_t j = first; j < first + width; ++j) part += means[block * s.c + j];
    sum += part * static_cast<double>(blocks.size(block));
  }
  const double centre = sum / count;
  double squares = 0.0;
  for (std::int64_t block = begin; block < end; ++block) {
    double within = 0.0, between = 0.0;
    for (std::int64_t j = first; j < first + width; ++j) {
      const double delta = means[block * s.c + j] - centre;
      within += deviations[block * s.c + j];
      between += delta * delta;
    }
    squares += within + between * static_cast<double>(blocks.size(block));
  }
  mean[image * s.groups + group] = static_cast<float>(centre);
  rstd[image * s.groups + group] = static_cast<float>(1.0 / std::sqrt(squares / count + epsilon));
}

// An image's means and scales, of groups, as vectors of channels.
void spread(const GroupShape& s, std::int64_t image, const float* mean, const float* rstd,
            float* means, float* rstds) {
  const std::int64_t width = s.c / s.groups;
  for (std::int64_t group = 0; group < s.groups; ++group) {
    const std::int64_t of = image * s.groups + group, at = image * s.c + group * width;
    std::fill(means + at, means + at + width, mean[of]);
    std::fill(rstds + at, rstds + at + width, rstd[of]);
  }
}

// With one position an image, sums by channels have one term each. There a group is a row of its
// own, as in layer normalisation.
struct GroupsOfVectors {
  GroupShape s;
  std::int64_t width;

  explicit GroupsOfVectors(const GroupShape& s) : s(s), width(s.c / s.groups) {}

  void forward(const float* x, const float* gamma, const float* beta, double epsilon, float* y,
               float* mean, float* rstd) const {
    Scratch scratch;
    const float* scale = filled(gamma, s.c, 1.0f, scratch);
    const float* shift = filled(beta, s.c, 0.0f, scratch);
    const std::int64_t images = std::max<std::int64_t>(1, kElementsPerTask / s.c);
    parallel_ranges(s.images, images, s.c, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin * s.groups; i < end * s.groups; ++i) {
        const std::int64_t at = i * width, channel = i % s.groups * width;
        kernels().layernorm_forward(x + at, scale + channel, shift + channel, epsilon, y + at,
                                    mean + i, rstd + i, width, 0, 1);
      }
    });
  }

  // Each of dx, dgamma and dbeta is null where it is not wanted. A task is a group of some vectors,
  // whose sums are taken before dx, which may be dy or x.
  void backward(const float* dy, const float* x, const float* gamma, const float* mean,
                const float* rstd, float* dx, float* dgamma, float* dbeta) const {
    const KernelTable& kernel = kernels();
    const bool wanted = dgamma || dbeta;
    if (const Ranks* ranks = wanted ? exact_ranks_of(s.images) : nullptr) {
      Scratch scratch;
      GroupShape whole = s;
      whole.images = ranks->samples();
      const auto [all_dy, all_x, all_mean, all_rstd] =
          gather_batch(ranks, {{dy, s.c}, {x, s.c}, {mean, s.groups}, {rstd, s.groups}}, scratch);
      const WithoutRanks alone;
      const GroupsOfVectors all(whole);
      all.backward(all_dy, all_x, gamma, all_mean, all_rstd, nullptr, dgamma, dbeta);
      return backward(dy, x, gamma, mean, rstd, dx, nullptr, nullptr);
    }
    const std::int64_t blocks = ceil_div(s.images, kVectorsPerBlock);
    Scratch scratch;
    const float* factors = filled(gamma, s.c, 1.0f, scratch);
    float* sums = scratch.take(wanted ? blocks : 0, s.c);
    float* products = scratch.take(wanted ? blocks : 0, s.c);
    parallel_for(blocks * s.groups, 2 * s.images * s.c, [&](std::int64_t task) {
      const std::int64_t block = task / s.groups, group = task % s.groups, channel = group * width;
      const std::int64_t first = block * kVectorsPerBlock, at = first * s.c + channel;
      const std::int64_t count = std::min(kVectorsPerBlock, s.images - first);
      float means[kVectorsPerBlock], scales[kVectorsPerBlock];
      for (std::int64_t i = 0; i < count; ++i) {
        means[i] = mean[(first + i) * s.groups + group];
        scales[i] = rstd[(first + i) * s.groups + group];
      }
      if (wanted) {
        const std::int64_t to = block * s.c + channel;
        kernel.layernorm_reduce(dy + at, x + at, means, scales, s.c, width, 0, count, sums + to,
                                products + to);
      }
      for (std::int64_t i = 0; dx && i < count; ++i) {
        const std::int64_t row = at + i * s.c;
        kernel.layernorm_backward(dy + row, x + row, factors + channel, means + i, scales + i,
                                  dx + row, width, 0, 1);
      }
    });
    if (dgamma) sum_blocks(blocks, s.c, products, dgamma);
    if (dbeta) sum_blocks(blocks, s.c, sums, dbeta);
  }
};

}  // namespace

void groupnorm_forward(const GroupShape& s, const float* x, const float* gamma, const float* beta,
                       double epsilon, float* y, float* mean, float* rstd) {
  const KernelTable& kernel = kernels();
  Scratch scratch;
  if (s.rows == 1) return GroupsOfVectors(s).forward(x, gamma, beta, epsilon, y, mean, rstd);
  const RowBlocks blocks(s.images, s.rows, s.c);
  float* means = scratch.take(blocks.count(), s.c);
  float* deviations = scratch.take(blocks.count(), s.c);
  float* centres = scratch.take(s.images, s.c);
  float* scales = scratch.take(s.images, s.c);
  each_image(
      blocks,
      [&](std::int64_t block) {
        kernel.batchnorm_statistics(x + blocks.first_row(block) * s.c, s.c, 0, blocks.size(block),
                                    means + block * s.c, deviations + block * s.c);
      },
      [&](std::int64_t image) {
        for (std::int64_t group = 0; group < s.groups; ++group)
          group_statistics(s, blocks, image, group, means, deviations, epsilon, mean, rstd);
        spread(s, image, mean, rstd, centres, scales);
        if (gamma) {
          for (std::int64_t j = 0; j < s.c; ++j) scales[image * s.c + j] *= gamma[j];
        }
      },
      [&](std::int64_t block) {
        const std::int64_t of = block / blocks.of_image * s.c, at = blocks.first_row(block) * s.c;
        kernel.groupnorm_normalise(x + at, centres + of, scales + of, beta, y + at, s.c, 0,
                                   blocks.size(block));
      });
}

void groupnorm_backward(const GroupShape& s, const float* dy, const float* x, const float* gamma,
                        const float* mean, const float* rstd, float* dx, float* dgamma,
                        float* dbeta) {
  const KernelTable& kernel = kernels();
  Scratch scratch;
  if (s.rows == 1) return GroupsOfVectors(s).backward(dy, x, gamma, mean, rstd, dx, dgamma, dbeta);
  const RowBlocks blocks(s.images, s.rows, s.c);
  const std::int64_t width = s.c / s.groups;
  float* sums = scratch.take(blocks.count(), s.c);
  float* products = scratch.take(blocks.count(), s.c);
  float* centres = scratch.take(s.images, s.c);
  float* scales = scratch.take(s.images, s.c);
  float* shifts = scratch.take(dx ? s.images : 0, s.c);
  float* slopes = scratch.take(dx ? s.images : 0, s.c);
  for (std::int64_t image = 0; image < s.images; ++image)
    spread(s, image, mean, rstd, centres, scales);
  const auto slope_of = [&](std::int64_t image, std::int64_t group) {
    const float* factor = gamma ? gamma + group * width : nullptr;
    double sum = 0.0, product = 0.0;
    for (std::int64_t b = image * blocks.of_image; b < (image + 1) * blocks.of_image; ++b) {
      const std::int64_t at = b * s.c + group * width;
      for (std::int64_t j = 0; j < width; ++j) {
        const double own = factor ? factor[j] : 1.0;
        sum += own * sums[at + j], product += own * products[at + j];
      }
    }
    const double count = static_cast<double>(s.rows) * static_cast<double>(width);
    const double scale = rstd[image * s.groups + group];
    for (std::int64_t j = group * width; j < (group + 1) * width; ++j) {
      shifts[image * s.c + j] = static_cast<float>(scale * sum / count);
      slopes[image * s.c + j] = static_cast<float>(scale * scale * product / count);
      if (gamma) scales[image * s.c + j] *= gamma[j];
    }
  };
  each_image(
      blocks,
      [&](std::int64_t block) {
        const std::int64_t of = block / blocks.of_image * s.c, at = blocks.first_row(block) * s.c;
        // Without ReLU the kernel does not look at the forward pass's scale and shift.
        kernel.batchnorm_reduce(dy + at, x + at, scales + of, centres + of, centres + of,
                                scales + of, false, s.c, 0, blocks.size(block), sums + block * s.c,
                                products + block * s.c);
      },
      [&](std::int64_t image) {
        if (!dx) return;
        for (std::int64_t group = 0; group < s.groups; ++group) slope_of(image, group);
      },
      [&](std::int64_t block) {
        if (!dx) return;
        const std::int64_t of = block / blocks.of_image * s.c, at = blocks.first_row(block) * s.c;
        kernel.groupnorm_backward(dy + at, x + at, centres + of, scales + of, shifts + of,
                                  slopes + of, dx + at, s.c, 0, blocks.size(block));
      });
  if (dgamma) sum_blocks(s.images, blocks.of_image, s.c, products, dgamma);
  if (dbeta) sum_blocks(s.images, blocks.of_image, s.c, sums, dbeta);
}

void centred_scaling(std::int64_t rows, std::int64_t c, const float* x, const float* mean,
                     const float* scale, float* y) {
  const std::int64_t chunk = ceil_div(kElementsPerTask, c);
  parallel_ranges(rows, chunk, c, [&](std::int64_t begin, std::int64_t end) {
    kernels().groupnorm_normalise(x, mean, scale, nullptr, y, c, begin, end);
  });
}

}  // namespace convkit::ops
