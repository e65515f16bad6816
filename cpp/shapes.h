// Problem shapes, plain data shared by every level.
//
// Letters: N images, H W rows and columns, C channels; KH KW kernel rows and columns; OH OW OC
// output rows, columns and channels. Activations are NHWC, convolution weights HWIO
// (KH, KW, C / groups, OC), dense weights (C, OC), all float32 with the last axis contiguous.
#pragma once

#include <cstdint>

namespace convkit {

namespace ops {
class KeptWeights;
}

struct ConvShape {
  std::int64_t n, h, w, c;
  std::int64_t kh, kw;
  std::int64_t oh, ow, oc;
  std::int64_t stride_h, stride_w;
  std::int64_t dilation_h, dilation_w;
  std::int64_t pad_top, pad_left;
  std::int64_t groups;
  bool direct;             // without Winograd's algorithm, whatever the process's setting
  ops::KeptWeights* kept;  // where what is made of the weights is kept, or null
};

struct PoolShape {
  std::int64_t n, h, w, c;
  std::int64_t kh, kw;
  std::int64_t oh, ow;
  std::int64_t stride_h, stride_w;
  std::int64_t pad_top, pad_left;
};

// A correlation of a source image with taps, on a grid of output positions q:
//
//   out[n, first + q * out_step, :] = bias + sum over taps t of src[n, q * src_step + tap[t], :] .
//   w[t]
//
// where positions outside the source count as zeros. The forward convolution is one correlation
// (taps are the kernel's positions less the padding); its input gradient is one for each of the
// stride_h * stride_w phases of the input grid; a dense layer is one with a single tap on 1 x 1
// images.
struct Tap {
  std::int64_t h, w;     // offset in source positions
  const float* weights;  // (k, ldw) matrix
};

struct Correlation {
  const float* src;
  float* out;
  const float* bias;      // null for none
  const float* residual;  // null, or as `out`: what is added to the sums; may be `out` itself
  bool relu;              // in the end
  std::int64_t n;
  std::int64_t src_h, src_w, src_ld;  // src_ld: floats between neighbouring source positions
  std::int64_t grid_h, grid_w;
  std::int64_t src_step_h, src_step_w;
  std::int64_t out_h, out_w, out_ld;
  std::int64_t out_first_h, out_first_w, out_step_h, out_step_w;
  std::int64_t k;     // channels summed over
  std::int64_t cols;  // output channels
  std::int64_t ldw;   // floats between rows of a tap's weights; readable up to a whole vector
  const Tap* taps;
  std::int64_t tap_count;
  std::int64_t first_h, last_h, first_w, last_w;  // of all taps' offsets and 0
  const float* zeros;  // at least k zeros, standing for positions outside the source; null where
                       // no tap falls outside
};

constexpr int kMaxTile = 5;               // outputs of a tile along one axis
constexpr int kMaxPoints = kMaxTile + 2;  // points that it is transformed to

// A tile's outputs along one axis.
struct TileSpan {
  std::int32_t start, size;  // size: 2 to kMaxTile
};

// A 3 x 3 stride-1 convolution cut into tiles of outputs. Tiles are numbered along (n, tile row,
// tile column).
struct WinogradShape {
  std::int64_t n, h, w, c;
  std::int64_t oh, ow, oc;
  std::int64_t pad_top, pad_left;
  std::int64_t tiles_h, tiles_w;
  const TileSpan* tile_rows;     // tiles_h of them
  const TileSpan* tile_columns;  // tiles_w of them
  std::int64_t points;           // along each axis: 7 where there are tiles of 5, elsewhere 6
  std::int64_t lc, loc;          // c and oc rounded up to whole vectors
  std::int64_t first_o, last_o;  // of loc, where a part is wanted: whole register tiles
  std::int64_t matrix;           // floats from one point's (lc, loc) weights to the next point's
  bool sum_apart;  // weight gradients of a few images are summed before they are added to others
  bool add_to_dx;  // input gradients are added to what dx holds
};

// A weight gradient is summed over so many pieces of the batch, each on its own, if there are as
// many images; of a large batch over more, see pieces_of_batch().
constexpr std::int64_t kBatchPieces = 8;

// Sums of more terms than a threshold are made of blocks' sums, of kSumBlock terms each and at most
// twice as many in the last, which are added up in pairs, pairs of pairs and so on. The thresholds
// are what a chain of additions may have as its length where most models have shorter ones.
constexpr std::int64_t kSumBlock = 512;
constexpr std::int64_t kLongPlane = 1024;    // positions, of a weight gradient's sum or of a pool's
constexpr std::int64_t kLongProduct = 4096;  // of a convolution's or a dense layer's outputs

// Taps whose pointers a task of a correlation keeps at a time.
constexpr std::int64_t kTableTaps = 256;

constexpr std::int64_t kLine = 16;  // floats of a cache line

// Ranges that are fetched ahead in the backward pass.
constexpr int kRangesAhead = 4;

// Memory that is wanted soon: rows of `width` floats, `stride` apart.
struct MemoryRange {
  const float *begin = nullptr, *end = nullptr;
  std::int64_t width = kLine, stride = kLine;
};

// One axis of an upsampled image. Output i = q * factor + p is `near` of input q and `far` of the
// input beside it, q - 1 in the first half of the factor and q + 1 in the second.
struct UpsampledAxis {
  std::int64_t size, factor;
  std::int64_t reach;       // outputs at each side of an input's own that it has a share in
  const float *near, *far;  // size * factor of each; far is 0 where there is no input beside it
};

struct Upsampling {
  std::int64_t n, c;
  UpsampledAxis rows, columns;
};

enum class Activation {
  kRelu,
  kSigmoid,
  kTanh,
  kGelu,
  kGeluTanh,
  kLeakyRelu,
  kElu,
  kBoundedRelu,
  kSilu,
  kSelu,
  kSoftplus,
  kSoftsign,
  kHardSigmoid,
  kHardSilu,
  kExponential,
  kMish
};

// What an activation takes besides its array.
struct ActivationParameters {
  float slope;      // of leaky ReLU below 0, of bounded ReLU below the threshold; ELU's alpha
  float threshold;  // of bounded ReLU, at least 0: x above it passes
  float max_value;  // of bounded ReLU, at least 0: no result is larger; infinity for no bound
};

// The activation behind an operation. ReLU is applied while outputs are in registers, any other
// while they are in a core's cache.
struct Epilogue {
  bool none = true;
  Activation kind = Activation::kRelu;
  ActivationParameters given = {};

  static Epilogue relu_if(bool relu) { return {!relu, Activation::kRelu, {}}; }
  bool relu() const { return !none && kind == Activation::kRelu; }
  bool apart() const { return !none && kind != Activation::kRelu; }
};

// How arrays become one, element by element.
enum class Merge { kAdd, kSubtract, kMultiply, kMaximum, kMinimum };

constexpr int kMostMerged = 64;  // arrays at a time

// Arrays that are read together at every position of a shape to which they are broadcast.
struct MergeShape {
  std::int64_t axes, count;   // of the shape, at least 1; of the arrays, at most kMostMerged
  const std::int64_t* sizes;  // by axis
  const float* const* arrays;
  const std::int64_t* steps;  // (count, axes): floats to the next position along an axis, 0 where
                              // an array is broadcast; along the last axis 0 or 1
};

// What an update by FTRL takes, in the form that its loop needs.
struct FtrlNumbers {
  float per_rate;         // 1 / the learning rate
  float power;            // of the sums of squared gradients
  float l1;               // strength of the L1 penalty
  float twice_l2;         // twice that of the L2 penalty, with beta / (2 * the learning rate) in it
  float twice_shrinkage;  // twice that of the penalty that is taken of the loss's gradient
};

// Rows of x (rows, b, t), ld floats apart, and a slope (b,) for each b.
struct PreluRows {
  std::int64_t rows, b, t, ld;
};

// What stands for the pixels around an image: a constant, the nearest pixel, the image reflected
// about the edge of its last pixel, or the image again.
enum class FillMode { kConstant, kNearest, kReflect, kWrap };

// Images (h, w, c) become (oh, ow, c): output (x, y) is the input at (m[0] x + m[1] y + m[2],
// m[3] x + m[4] y + m[5]), between four pixels or at the nearest.
struct AffineShape {
  std::int64_t h, w, c;
  std::int64_t oh, ow;
  FillMode fill_mode;
  const float* fill;  // the constant of each channel
  bool bilinear;
};

// What becomes of the hues and saturations of an image of red, green and blue, each pixel at
// (x - low) / (high - low): the hue is turned by parts of a turn, the saturation multiplied, and
// kept within its bounds. Where `clips`, the pixels are kept within low .. high, too.
struct ColorChange {
  float turn, saturation;
  float least, most;  // saturation
  float low, high;
  bool clips;
};

// One axis of a resampling: output i is the sum of `taps` inputs times weights, (out, taps) each.
struct ResampledAxis {
  std::int64_t size, out, taps;
  const std::int32_t* indices;
  const float* weights;
};

constexpr std::int64_t kPatternLanes = 16;  // pixels whose channels are a pattern's numbers

}  // namespace convkit
