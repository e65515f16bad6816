// Winograd convolutions over threads: 3 x 3, stride 1, no dilation, one group.
#pragma once

#include "../shapes.h"
#include "conv_output.h"
#include "output_gradient.h"
#include "ranks.h"

namespace convkit::ops {

bool winograd_accepts(const ConvShape& s);

void winograd_forward(const ConvShape& s, const float* x, const float* w, const float* b,
                      const ConvOutput& out, const BatchStatistics* statistics);
// As winograd_forward, then max-pooled 2 x 2: y (N, OH / 2, OW / 2, OC) and the windows' indices.
// OH and OW are even.
void winograd_max_pool_forward(const ConvShape& s, const float* x, const float* w, const float* b,
                               bool relu, float* y, std::uint8_t* indices);
void winograd_backward_input(const ConvShape& s, const float* dy, const float* w, bool add_to_dx,
                             float* dx);
void winograd_backward_weights(const ConvShape& s, const float* x, const float* dy, float* dw);
// The same of a batch gathered from several ranks, of which each computes a share of the channels.
void winograd_backward_weights(const Ranks& ranks, const ConvShape& s, const float* x,
                               const float* dy, float* dw);
// Whether a weight gradient is summed by pieces of the batch, which ranks have as a whole.
bool winograd_sums_by_pieces(const ConvShape& s);
// Both gradients from one transform of the output's, and the bias's; dx or dw may be null, and then
// w or x too.
void winograd_backward(const ConvShape& s, const float* x, const float* w,
                       const OutputGradient& output, bool add_to_dx, float* dx, float* dw);

}  // namespace convkit::ops
