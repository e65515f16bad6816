// What both directions of a Winograd convolution know of its tiles.
#pragma once

#include "../dispatch/cpu.h"
#include "../shapes.h"
#include "parallel.h"
#include "scratch.h"

namespace convkit::ops {

// Rows of all points' weights in one task of their transforms.
constexpr std::int64_t kWeightRows = 4;
// Up to so many floats every thread transforms the weights for itself. That takes less time than to
// fetch what another core has written, and to write what another core has read.
constexpr std::int64_t kOwnWeights = 704 * 1024;

// The tiles of a convolution, in vectors of the active instruction set; their spans are in scratch.
// Tiles that are pooled 2 x 2 are of 4 or 2 outputs, which OH and OW are made up of then.
WinogradShape winograd_shape(const ConvShape& s, bool pooled, Scratch& scratch);

// Floats of all points' weights.
std::int64_t weights_size(const WinogradShape& a);

// Floats from one point's (lc, loc) weights to the next point's.
std::int64_t weights_stride(std::int64_t lc, std::int64_t loc);

// Vector operations of a convolution's products.
std::int64_t vector_products(const WinogradShape& a);

// The ranges, or as many empty ones where fetching ahead does not pay.
template <int Count>
const MemoryRange* worth_fetching(const MemoryRange (&ranges)[Count]) {
  static constexpr MemoryRange kNothing[Count] = {};
  return wants_prefetches() ? ranges : kNothing;
}

}  // namespace convkit::ops
