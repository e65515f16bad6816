#include <algorithm>

#include "../dispatch/cpu.h"
#include "winograd.h"
#include "winograd_shape.h"

namespace convkit::ops {
namespace {

// A block's transformed tiles, in floats: what stays in a second-level cache beside the weights.
constexpr std::int64_t kBackwardBlock = 192 * 1024;
// A backward pass with a larger gradient of the transformed weights (an input gradient alone: with
// more than kOwnWeights of them), or whose batch has fewer images than pieces, is cut into channels
// instead of pieces of the batch.
constexpr std::int64_t kLargeGradient = 256 * 1024;
// An input gradient alone has more pieces where they have at least so many tiles: nothing is added
// up over them, and threads wait less for each other.
constexpr std::int64_t kTilesOfPiece = 16;
// Input channels that a backward pass has in hand at a time; fewer where chunks are the tasks, and
// there would not be one for each thread.
constexpr std::int64_t kChannels = 32;
constexpr std::int64_t kFewChannels = 16;
// Below so many chunks a block has the images that fit with the fewer channels.
constexpr std::int64_t kFewChunks = 4;

// The part of a range that goes with steps [begin, end) of total.
MemoryRange slice(const MemoryRange& range, std::int64_t begin, std::int64_t end,
                  std::int64_t total) {
  const std::int64_t size = range.end - range.begin;
  return {range.begin + size * begin / total, range.begin + size * std::min(end, total) / total};
}

// Both gradients, or one of them. The input channels are taken in chunks, and the batch in blocks
// of images whose transformed gradients z serve all chunks. Tasks are pieces of the batch, whose
// weight gradients are added up; or they are chunks, with the whole batch, which leaves nothing to
// add.
class Backward {
 public:
  Backward(const ConvShape& s, const float* x, const float* w, const OutputGradient& output,
           bool add_to_dx, float* dx, float* dw, Scratch& scratch)
      : s_(s), x_(x), w_(w), output_(output), dx_(dx), dw_(dw) {
    a_ = winograd_shape(s, false, scratch);
    a_.add_to_dx = add_to_dx;
    work_ = product(vector_products(a_), dx && dw ? 2 : 1);
    lc_ = a_.lc;
    const bool large = weights_size(a_) > (dw ? kLargeGradient : kOwnWeights);
    by_channels_ = s.n < kBatchPieces || large;
    a_.lc = chunk_of(by_channels_ && lc_ < threads_for(lc_, work_) * kChannels);
    a_.matrix = weights_stride(a_.lc, a_.loc);
    size_ = weights_size(a_);
    chunks_ = ceil_div(lc_, a_.lc);
    const std::int64_t image_tiles = a_.tiles_h * a_.tiles_w;
    pieces_ = by_channels_ ? 1 : pieces_of_batch(image_tiles);
    a_.sum_apart = product(ceil_div(s.n, pieces_), image_tiles) > kLongProduct;
    // The images of a block decide in which order sums are made, so threads have no part in them.
    const std::int64_t counted = chunk_of(by_channels_ && lc_ < kFewChunks * kChannels);
    const std::int64_t image = a_.points * a_.points * image_tiles * (counted + a_.loc);
    const std::int64_t most = std::max<std::int64_t>(kBackwardBlock / image, 1);
    images_ = even_share(ceil_div(s.n, pieces_), most);
    z_size_ = kernels().winograd_block_size(a_, images_ * image_tiles, a_.loc);
    block_size_ = z_size_ + kernels().winograd_block_size(a_, images_ * image_tiles, a_.lc);
  }

  void run() const { by_channels_ ? run_by_channels() : run_by_pieces(); }

 private:
  std::int64_t pieces_of_batch(std::int64_t image_tiles) const {
    if (dw_) return kBatchPieces;
    return std::clamp(s_.n * image_tiles / kTilesOfPiece, kBatchPieces,
                      std::min(s_.n, 2 * kBatchPieces));
  }

  // Channels of a chunk.
  std::int64_t chunk_of(bool few) const {
    return std::min(lc_, round_up(few ? kFewChannels : kChannels, kernels().lanes));
  }

  void run_by_channels() const {
    Scratch scratch;
    const float* dy = output_.load_all(scratch);
    parallel_for(chunks_, work_, [&](std::int64_t i) {
      Scratch own;
      float *u = own.take(size_), *du = own.take(size_), *z = own.take(block_size_);
      if (dx_) transform_weights(i, u);
      for (std::int64_t n = 0; n < s_.n; n += images_) {
        const std::int64_t end = std::min(n + images_, s_.n);
        const std::int64_t next = std::min(end + images_, s_.n);
        kernels().winograd_output_gradients(a_, dy, nullptr, z, n, end);
        const MemoryRange ahead[kRangesAhead] = {
            channels_of(x_, end, next, i),
            channels_of(dx_, n, end, i),
            {dy + end * output_size(), dy + next * output_size()}};
        run_chunk(i, u, dw_ ? du : nullptr, n, end, z, n > 0, worth_fetching(ahead));
      }
      if (dw_) weight_gradient(i, du, 0, a_.lc);
    });
  }

  void run_by_pieces() const {
    Scratch scratch;
    const std::int64_t weights = chunks_ * size_;
    float* du = dw_ ? scratch.take(pieces_, weights) : nullptr;
    struct Memory {
      float *u, *z, *to;
    };
    const auto prepare = [&](Scratch& own) {
      const Memory memory = {dx_ ? own.take(weights) : nullptr, own.take(block_size_),
                             own.take(images_, output_.image_size())};
      for (std::int64_t i = 0; dx_ && i < chunks_; ++i) transform_weights(i, memory.u + i * size_);
      return memory;
    };
    parallel_for(pieces_, work_, prepare, [&](std::int64_t piece, const Memory& memory) {
      const auto [u, z, to] = memory;
      const std::int64_t first = piece * s_.n / pieces_, last = (piece + 1) * s_.n / pieces_;
      for (std::int64_t n = first; n < last; n += images_) {
        const std::int64_t end = std::min(n + images_, last), next = std::min(end + images_, last);
        // Tiles of 5 cut through the windows of a pool.
        const OutputGradient::Loaded dy =
            a_.points < kMaxPoints ? output_.load_pooled(n, end, to)
                                   : OutputGradient::Loaded{output_.load(n, end, to), nullptr};
        kernels().winograd_output_gradients(a_, dy.dy, dy.indices, z, 0, end - n);
        for (std::int64_t i = 0; i < chunks_; ++i) {
          const bool more = i + 1 < chunks_;
          const MemoryRange ahead[kRangesAhead] = {
              more ? channels_of(x_, n, end, i + 1) : channels_of(x_, end, next, 0),
              channels_of(dx_, n, end, i), slice(output_.gradient_of(end, next), i, i + 1, chunks_),
              slice(output_.output_of(end, next), i, i + 1, chunks_)};
          run_chunk(i, dx_ ? u + i * size_ : nullptr,
                    dw_ ? du + piece * weights + i * size_ : nullptr, n, end, z, n > first,
                    worth_fetching(ahead));
        }
      }
    });
    if (dw_) {
      const std::int64_t cuts = ceil_div(a_.lc, kWeightRows);
      parallel_for(chunks_ * cuts, pieces_ * weights, [&](std::int64_t task) {
        const std::int64_t i = task / cuts, begin = task % cuts * kWeightRows;
        weight_gradient(i, du + i * size_, begin, std::min(begin + kWeightRows, a_.lc));
      });
    }
  }

  void run_chunk(std::int64_t i, const float* u, float* du, std::int64_t begin, std::int64_t end,
                 float* z, bool accumulate, const MemoryRange* ahead) const {
    kernels().winograd_backward(chunk(i), x_, z, u, du, dx_, i * a_.lc, begin, end, accumulate,
                                ahead, z + z_size_);
  }

  // u of a chunk: from the output channels to the chunk's input channels.
  void transform_weights(std::int64_t i, float* u) const {
    kernels().winograd_transposed_weights(chunk(i), w_, i * a_.lc, u);
  }

  // dw for a chunk's input channels [begin, end), of those that there are.
  void weight_gradient(std::int64_t i, const float* du, std::int64_t begin,
                       std::int64_t end) const {
    const std::int64_t first = i * a_.lc;
    float* dw = dw_ + first * s_.oc;
    end = std::min(end, s_.c - first);
    if (by_channels_) return kernels().winograd_weight_gradient(chunk(i), du, dw, begin, end);
    kernels().winograd_weight_gradient_of_pieces(chunk(i), du, chunks_ * size_, dw, begin, end);
  }

  WinogradShape chunk(std::int64_t i) const {
    WinogradShape a = a_;
    a.lc = std::min(a_.lc, lc_ - i * a_.lc);
    return a;
  }

  std::int64_t output_size() const { return s_.oh * s_.ow * s_.oc; }

  // A chunk's channels of images [begin, end) of x or dx, or nothing where it is null.
  MemoryRange channels_of(const float* x, std::int64_t begin, std::int64_t end,
                          std::int64_t i) const {
    if (!x) return {};
    const std::int64_t image = s_.h * s_.w * s_.c;
    return {x + begin * image + i * a_.lc, x + end * image, a_.lc, s_.c};
  }

  ConvShape s_;
  const float *x_, *w_;
  const OutputGradient& output_;
  float *dx_, *dw_;
  WinogradShape a_;  // lc: channels of a chunk
  std::int64_t work_, lc_;
  bool by_channels_;
  std::int64_t size_;  // floats of a chunk's weights, all points
  std::int64_t chunks_, pieces_;
  std::int64_t images_;               // in a block
  std::int64_t z_size_, block_size_;  // floats of a block's z; with a chunk's inputs
};

}  // namespace

void winograd_backward_input(const ConvShape& s, const float* dy, const float* w, bool add_to_dx,
                             float* dx) {
  Scratch scratch;
  const OutputGradient output(s, dy, nullptr, nullptr, nullptr, false, scratch);
  winograd_backward(s, nullptr, w, output, add_to_dx, dx, nullptr);
}

void winograd_backward_weights(const ConvShape& s, const float* x, const float* dy, float* dw) {
  Scratch scratch;
  const OutputGradient output(s, dy, nullptr, nullptr, nullptr, false, scratch);
  winograd_backward(s, x, nullptr, output, false, nullptr, dw);
}

void winograd_backward(const ConvShape& s, const float* x, const float* w,
                       const OutputGradient& output, bool add_to_dx, float* dx, float* dw) {
  Scratch scratch;
  Backward(s, x, w, output, add_to_dx, dx, dw, scratch).run();
}

}  // namespace convkit::ops
