// The gradients of a Winograd convolution: what they are computed from, and how the work is cut.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "../dispatch/cpu.h"
#include "../shapes.h"
#include "output_gradient.h"
#include "pack.h"
#include "piece_runs.h"
#include "ranks.h"
#include "scratch.h"
#include "winograd_chunks.h"
#include "winograd_shape.h"

namespace convkit::ops {

// Input channels that a backward pass has in hand at a time; fewer where chunks are the tasks, and
// there would not be one for each thread.
constexpr std::int64_t kChannels = 32;
constexpr std::int64_t kFewChannels = 16;

// Both gradients, or one of them. The input channels are taken in chunks, and the batch in blocks
// of images whose transformed gradients z serve all chunks. Tasks are pieces of the batch, whose
// weight gradients are added up; or they are chunks, with the whole batch, which leaves nothing to
// add. What many threads do not take as a whole is cut finer, see Waves. Either way every sum is
// made in the same order.
class WinogradGradients {
 public:
  // Each gradient is null where it is not wanted.
  WinogradGradients(const ConvShape& s, const float* x, const float* w,
                    const OutputGradient& output, bool add_to_dx, float* dx, float* dw,
                    Scratch& scratch);

  // Only what concerns these input channels, where chunks are the tasks.
  void take_channels(std::int64_t begin, std::int64_t end);
  bool by_channels() const { return by_channels_; }
  std::int64_t fewest_channels() const { return chunk_of(true); }
  void run() const;

 private:
  class Waves;

  std::int64_t count_pieces(std::int64_t image_tiles) const;
  // Runs for so many threads.
  PieceRuns runs_for(std::int64_t threads) const;

  // Channels of a chunk.
  std::int64_t chunk_of(bool few) const {
    return std::min(a_.lc, round_up(few ? kFewChannels : kChannels, kernels().lanes));
  }

  void run_by_channels() const;
  // Pieces as a whole, by threads that transform the weights for themselves.
  void run_by_pieces() const;
  // By three threads or more.
  void run_in_waves() const;

  // The chunks of a thread, with their transposed weights: all of them, or some of a piece that
  // several threads share.
  struct OwnChunks {
    const Chunks& chunks;
    const float* u;
    std::int64_t begin, end;
    bool is_first;
    std::int64_t until;  // that image, images are fetched ahead
  };
  // A run of pieces, as many as a power of two, whose part of dw is added up in pairs, pairs of
  // pairs and so on. Only of a single piece there are shares.
  void run_pieces(const OwnChunks& own, const PieceRuns::Run& run, float* part,
                  float* memory) const;
  void sum_pieces(const OwnChunks& own, std::int64_t piece, std::int64_t count, float* part,
                  float* memory, float* sums) const;
  void run_piece(const OwnChunks& own, std::int64_t piece, float* part, float* memory) const;

  // Floats of a block's loaded gradient, whole cache lines.
  std::int64_t loaded_size() const {
    return round_up(product(images_, output_.image_size()), kLine);
  }
  // Chunks whose gradients a piece keeps from one block to the next.
  std::int64_t kept_chunks(const Chunks& chunks) const {
    return images_ < most_images_ ? chunks.count : 1;
  }

  // Floats that run_pieces() needs.
  std::int64_t run_memory(const Chunks& chunks, std::int64_t count) const {
    std::int64_t size = z_size_ + chunk_memory(chunks) + loaded_size();
    if (dw_) size += product(kept_chunks(chunks), chunks.size);
    for (; count > 1; count /= 2) size += dw_size();
    return size;
  }

  // Of the weights.
  std::int64_t dw_size() const { return 9 * s_.c * s_.oc; }
  // Parts of dw, of runs and then of single pieces; one is dw itself. Null where nobody asks for
  // it.
  struct Parts {
    float* data;
    std::int64_t size;
    float* operator[](std::int64_t i) const { return data ? data + i * size : nullptr; }
  };
  Parts take_parts(std::int64_t count, Scratch& scratch) const {
    return {dw_ && count > 1 ? scratch.take(count, dw_size()) : dw_, dw_size()};
  }
  // Their sum.
  PartsSum sum_of(const Parts& parts, const PieceRuns& runs, std::int64_t count,
                  Scratch& scratch) const;

  Chunks large_chunks() const { return Chunks(a_, chunk_of(false), begin_, end_); }
  Chunks small_chunks() const { return Chunks(a_, chunk_of(true), begin_, end_); }

  // The first image of a piece.
  std::int64_t first_of(std::int64_t piece) const {
    return dw_ && !by_channels_ ? own_.begin(piece) : piece * s_.n / pieces_;
  }

  // Images [begin, end) of a piece's block; none behind its last one.
  std::pair<std::int64_t, std::int64_t> images_of(std::int64_t piece, std::int64_t block) const {
    const std::int64_t first = first_of(piece) + block * images_;
    return {first, std::min(first + images_, first_of(piece + 1))};
  }

  // The gradient of some images; tiles of 5 cut through the windows of a pool.
  OutputGradient::Loaded load(std::int64_t begin, std::int64_t end, float* to,
                              bool again = false) const {
    if (a_.points < kMaxPoints) return output_.load_pooled(begin, end, to, again);
    return {output_.load(begin, end, to, again), nullptr};
  }

  // dw, or a part of it, for a chunk's input channels [begin, end), of those that there are.
  void weight_gradient(const Chunks& chunks, std::int64_t i, const float* du, float* dw,
                       std::int64_t begin, std::int64_t end) const;

  void run_chunk(const Chunks& chunks, std::int64_t i, const float* z, const float* u, float* du,
                 float* dx, std::int64_t begin, std::int64_t end, bool accumulate,
                 const MemoryRange* ahead, float* memory) const {
    kernels().winograd_backward(chunks[i], x_, z, u, du, dx, chunks.first(i), begin, end,
                                accumulate, ahead, memory);
  }

  // Floats that run_chunk() needs.
  std::int64_t chunk_memory(const Chunks& chunks) const { return block_size(chunks.a.lc); }
  // Of a block with so many channels.
  std::int64_t block_size(std::int64_t channels) const {
    return kernels().winograd_block_size(a_, images_ * a_.tiles_h * a_.tiles_w, channels);
  }

  // u of a chunk: from the output channels to the chunk's input channels.
  void transform_weights(const Chunks& chunks, std::int64_t i, float* u) const {
    const WinogradShape chunk = chunks[i];
    kernels().winograd_transposed_weights(chunk, w_, chunks.first(i), 0, chunk.lc, u);
  }

  // u of all chunks, by this thread; null where nobody asks for dx.
  const float* own_weights(const Chunks& chunks, Scratch& own) const;

  std::int64_t output_size() const { return s_.oh * s_.ow * s_.oc; }

  // A chunk's channels of images [begin, end) of x or dx, or nothing where it is null.
  MemoryRange channels_of(const Chunks& chunks, std::int64_t i, const float* x, std::int64_t begin,
                          std::int64_t end) const;

  ConvShape s_;
  const float *x_, *w_;
  const OutputGradient& output_;
  float *dx_, *dw_;
  WinogradShape a_;
  std::int64_t work_;
  int threads_;
  bool by_channels_, in_waves_;
  bool fewer_;  // channels of a chunk where chunks are the tasks
  OwnPieces own_;
  std::int64_t pieces_;
  std::int64_t begin_ = 0, end_;       // the input channels
  std::int64_t images_, most_images_;  // in a block, and in a piece at most
  std::int64_t z_size_;                // floats of a block's z
};

}  // namespace convkit::ops
