#include "activation.h"

#include <algorithm>
#include <cmath>

#include "../dispatch/cpu.h"
#include "noise.h"
#include "parallel.h"

namespace convkit::ops {
namespace {

constexpr std::int64_t kElementsPerTask = 1 << 14;

std::int64_t rows_per_task(std::int64_t k) {
  return k >= kElementsPerTask ? 1 : kElementsPerTask / k;
}

}  // namespace

bool reads_input(Activation kind) {
  switch (kind) {
    case Activation::kGelu:
    case Activation::kGeluTanh:
    case Activation::kLeakyRelu:
    case Activation::kSilu:
    case Activation::kHardSilu:
    case Activation::kMish:
      return true;
    default:
      return false;
  }
}

void activation_forward(Activation kind, const float* x, float* y, std::int64_t n,
                        ActivationParameters given) {
  parallel_ranges(n, kElementsPerTask, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels().activation_forward(kind, x + begin, y + begin, end - begin, given);
  });
}

void activation_backward(Activation kind, const float* dy, const float* v, float* dx,
                         std::int64_t n, ActivationParameters given) {
  parallel_ranges(n, kElementsPerTask, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels().activation_backward(kind, dy + begin, v + begin, dx + begin, end - begin, given);
  });
}

void softmax_forward(const float* x, float* y, std::int64_t rows, std::int64_t k, float* peak,
                     float* sum) {
  parallel_ranges(rows, rows_per_task(k), k, [&](std::int64_t begin, std::int64_t end) {
    kernels().softmax_forward(x + begin * k, y + begin * k, end - begin, k,
                              peak ? peak + begin : nullptr, sum ? sum + begin : nullptr);
  });
}

void softmax_backward(const float* dy, const float* y, float* dx, std::int64_t rows,
                      std::int64_t k) {
  parallel_ranges(rows, rows_per_task(k), k, [&](std::int64_t begin, std::int64_t end) {
    kernels().softmax_backward(dy + begin * k, y + begin * k, dx + begin * k, end - begin, k);
  });
}

void log_softmax_forward(const float* x, float* y, std::int64_t rows, std::int64_t k) {
  constexpr std::int64_t kRowsAtATime = 64;
  parallel_ranges(rows, rows_per_task(k), k, [&](std::int64_t begin, std::int64_t end) {
    float peak[kRowsAtATime], sum[kRowsAtATime];
    for (std::int64_t r = begin; r < end; r += kRowsAtATime) {
      const std::int64_t count = std::min(kRowsAtATime, end - r);
      kernels().softmax_sums(x + r * k, count, k, peak, sum);
      for (std::int64_t i = 0; i < count; ++i)
        sum[i] = static_cast<float>(std::log(static_cast<double>(sum[i])));
      kernels().log_softmax_forward(x + r * k, peak, sum, y + r * k, count, k);
    }
  });
}

void log_softmax_backward(const float* dy, const float* y, float* dx, std::int64_t rows,
                          std::int64_t k) {
  parallel_ranges(rows, rows_per_task(k), k, [&](std::int64_t begin, std::int64_t end) {
    kernels().log_softmax_backward(dy + begin * k, y + begin * k, dx + begin * k, end - begin, k);
  });
}

void dropout(const float* x, float* y, std::int64_t n, std::int64_t first, double rate,
             std::uint64_t seed, std::uint64_t offset) {
  const auto threshold = static_cast<std::uint32_t>(std::floor(rate * 16777216.0));
  const auto scale = static_cast<float>(1.0 / (1.0 - rate));
  with_whole_counters(
      x, y, first, n, [&](const float* from, float* to, std::int64_t first, std::int64_t count) {
        parallel_ranges(count, kElementsPerTask, 1, [&](std::int64_t begin, std::int64_t end) {
          kernels().dropout(from, to, first, begin, end, seed, offset, threshold, scale);
        });
      });
}

}  // namespace convkit::ops
