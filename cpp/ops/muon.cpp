#include "muon.h"

#include <algorithm>
#include <cmath>

#include "../dispatch/cpu.h"
#include "dense.h"
#include "gradient.h"
#include "parallel.h"
#include "ranks.h"
#include "scratch.h"

namespace convkit::ops {
namespace {

constexpr std::int64_t kElementsPerTask = 1 << 14;
constexpr double kEpsilon = 1e-7;  // as Keras has it

// y = a * x + b * y
void combine(std::int64_t n, double a, const float* x, double b, float* y) {
  parallel_ranges(n, kElementsPerTask, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels().combine(static_cast<float>(a), x + begin, static_cast<float>(b), y + begin,
                      end - begin);
  });
}

// x, of a spectral norm of at most 1, becomes nearly the orthogonal matrix next to it. The products
// of x with itself are taken on its shorter side, so that nothing has to be transposed.
void orthogonalise(std::int64_t rows, std::int64_t columns, const MuonNumbers& given, float* x) {
  const bool is_wide = rows <= columns;
  const std::int64_t side = std::min(rows, columns), n = product(rows, columns);
  Scratch scratch;
  float* gram = scratch.take(side, side);
  float* square = scratch.take(side, side);
  float* next = scratch.take(rows, columns);
  for (std::int64_t i = 0; i < given.rounds; ++i) {
    if (is_wide) {
      dense_backward_input(rows, rows, columns, x, x, gram);  // x x^T
    } else {
      dense_backward_weights(rows, columns, columns, x, x, gram);  // x^T x
    }
    dense_forward(side, side, side, gram, gram, nullptr, square);
    combine(product(side, side), given.b, gram, given.c, square);
    if (is_wide) {
      dense_forward(rows, rows, columns, square, x, nullptr, next);
    } else {
      dense_forward(rows, columns, columns, x, square, nullptr, next);
    }
    combine(n, 1.0, next, given.a, x);
  }
}

}  // namespace

void muon_update(std::int64_t rows, std::int64_t columns, float* w, const float* g, float* m,
                 double learning_rate, const MuonNumbers& given, double weight_decay) {
  const std::int64_t n = product(rows, columns);
  if (n == 0) return;
  const WithoutRanks alone;  // the rows are the weights', not the batch's
  Scratch scratch;
  float* x = scratch.take(n);
  parallel_ranges(n, kElementsPerTask, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels().muon_momentum(g + begin, m + begin, x + begin, end - begin,
                            static_cast<float>(given.momentum), given.nesterov);
  });
  const double norm = std::sqrt(sum_of_squares(n, x));
  const float over_norm = static_cast<float>(1.0 / (norm + kEpsilon));
  parallel_ranges(n, kElementsPerTask, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels().scale(x + begin, end - begin, over_norm);
  });
  orthogonalise(rows, columns, given, x);
  if (weight_decay != 0.0) combine(n, -learning_rate * weight_decay, w, 1.0, w);
  combine(n, -learning_rate * given.scale, x, 1.0, w);
}

}  // namespace convkit::ops
