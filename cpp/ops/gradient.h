// What is done to gradients before an update, and to parameters after it. Sums are taken over
// pieces of fixed size and added in double precision, in order.
#pragma once

#include <cstdint>

namespace convkit::ops {

void clip_by_value(std::int64_t n, float* g, double limit);

double sum_of_squares(std::int64_t n, const float* g);

// g times max_norm / sqrt(squares) where that is below 1; NaN where squares is not finite.
void clip_by_norm(std::int64_t n, float* g, double squares, double max_norm);

// total = (total + g) * factor
void accumulate(std::int64_t n, float* total, const float* g, double factor);

// average = momentum * average + (1 - momentum) * w, or w at the first step; after every
// `overwrite_every` steps w becomes the average, unless that is 0. step counts from 1 (else
// std::invalid_argument).
void moving_average(std::int64_t n, float* average, float* w, double momentum, std::int64_t step,
                    std::int64_t overwrite_every);

// Where step is a multiple of `sync_period` (at least 1, else std::invalid_argument), slow +=
// step_size * (w - slow), and w becomes slow; otherwise nothing.
void lookahead(std::int64_t n, float* slow, float* w, double step_size, std::int64_t step,
               std::int64_t sync_period);

}  // namespace convkit::ops
