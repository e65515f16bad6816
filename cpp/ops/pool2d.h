// Max and average pooling over threads. A global pool is one whose window is the whole plane.
#pragma once

#include "../shapes.h"

namespace convkit::ops {

// indices: the position kh * KW + kw of each maximum in its window, int32 when wide, else uint8.
void max_pool2d_forward(const PoolShape& s, const float* x, float* y, void* indices, bool wide);
void max_pool2d_backward(const PoolShape& s, const float* dy, const void* indices, bool wide,
                         float* dx);

// Whether every index is a position of its window that lies inside the image.
bool max_pool2d_indices_valid(const PoolShape& s, const void* indices, bool wide);

// The 2 x 2 pool behind a convolution; no window holds an odd last row or column.
PoolShape pool_of_two(const ConvShape& s);

void average_pool2d_forward(const PoolShape& s, const float* x, float* y);
void average_pool2d_backward(const PoolShape& s, const float* dy, float* dx);

}  // namespace convkit::ops
