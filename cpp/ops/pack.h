// Arrangements of weights that the convolution algorithms share, and sums of partial gradients.
#pragma once

#include "../shapes.h"
#include "scratch.h"

namespace convkit::ops {

// The weights of a convolution as one matrix a group and tap, rows of whole vectors.
struct TapWeights {
  const float* data;
  std::int64_t ldw;           // floats between rows
  std::int64_t tap_stride;    // floats between taps
  std::int64_t group_offset;  // floats between groups
};

// (input channels, output channels): used in place when the channels of a group fill vectors, else
// copied. Copies have rows of whole vectors, with zeros behind, up to 4 MiB or twice the floats of
// the weights; else a row ends where the next one starts.
TapWeights forward_weights(const ConvShape& s, const float* w, std::int64_t lanes,
                           Scratch& scratch);

// (output channels, input channels).
TapWeights transposed_weights(const ConvShape& s, const float* w, std::int64_t lanes,
                              Scratch& scratch);

// The part of the images (N, H, W, C) that a convolution's windows cover, (N, height, width, C)
// from (-pad_top, -pad_left) on, with zeros for padding.
void pad_images(const ConvShape& s, const float* x, std::int64_t height, std::int64_t width,
                float* padded);

// Pieces of the batch that a direct weight gradient is summed over, each in memory of its own:
// pieces_of_batch(), where the batch has as many images, or fewer: they take up to 64 MiB together;
// or, but for two, no more than twice the convolution's input, output and weights.
std::int64_t pieces_of(const ConvShape& s);

// Zeros.
void clear(std::int64_t size, float* to);

// sum = parts[0] + parts[1] + ... for `count` arrays of `size`: pairs, then pairs of pairs, the
// same tree for any number of threads.
class PartsSum {
 public:
  // levels: of parts that are sums of so many pairs already; null where none is.
  PartsSum(const float* parts, std::int64_t count, std::int64_t size, float* sum,
           const std::uint8_t* levels = nullptr);
  void run() const;
  // What its tasks are, where they are a part of something else.
  std::int64_t tasks() const;
  void run(std::int64_t task) const;

 private:
  const float* parts_;
  std::int64_t count_, size_;
  float* sum_;
  const std::uint8_t* levels_;
};

// total (c) = the sum of the rows of blocks (count, c), in order and in double precision.
void sum_blocks(std::int64_t count, std::int64_t c, const float* blocks, float* total);

// The same over a batch: n samples, each with so many blocks.
void sum_blocks(std::int64_t n, std::int64_t of_sample, std::int64_t c, const float* blocks,
                float* total);

// `given`, or `size` times the number that null stands for.
const float* filled(const float* given, std::int64_t size, float number, Scratch& scratch);

}  // namespace convkit::ops
