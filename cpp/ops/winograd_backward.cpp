#include <algorithm>

#include "../dispatch/cpu.h"
#include "winograd.h"
#include "winograd_chunks.h"
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
// Where threads take chunks of pieces there are so many of them for each, so that nobody waits for
// long in the end.
constexpr std::int64_t kTasksOfThread = 2;
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
// add. What more threads than that gives work for, or a number that it leaves without in the end,
// do not take as a whole is cut into chunks of pieces, each gradient for itself, and the
// transformed gradients that they share come first. Either way every sum is made in the same order.
class Backward {
 public:
  Backward(const ConvShape& s, const float* x, const float* w, const OutputGradient& output,
           bool add_to_dx, float* dx, float* dw, Scratch& scratch)
      : s_(s), x_(x), w_(w), output_(output), dx_(dx), dw_(dw), own_(s.n, kBatchPieces) {
    a_ = winograd_shape(s, false, scratch);
    a_.add_to_dx = add_to_dx;
    end_ = a_.lc;
    work_ = product(vector_products(a_), dx && dw ? 2 : 1);
    const bool large = weights_size(a_) > (dw ? kLargeGradient : kOwnWeights);
    const std::int64_t whole = dw ? whole_batch(s.n) : s.n;
    by_channels_ = whole < kBatchPieces || large;
    threads_ = threads_for(kLargest, work_);
    in_waves_ =
        leaves_idle(threads_, by_channels_ ? ceil_div(a_.lc, chunk_of(false)) : own_.count());
    fewer_ = by_channels_ && a_.lc < threads_ * kChannels;
    const std::int64_t image_tiles = a_.tiles_h * a_.tiles_w;
    pieces_ = by_channels_ ? 1 : pieces_of_batch(image_tiles);
    const std::int64_t most_images =
        dw && !by_channels_ ? ceil_div(whole, kBatchPieces) : ceil_div(s.n, pieces_);
    a_.sum_apart = product(most_images, image_tiles) > kLongProduct;
    // The images of a block decide in which order sums are made, so threads have no part in them.
    const std::int64_t counted = chunk_of(by_channels_ && a_.lc < kFewChunks * kChannels);
    const std::int64_t image = a_.points * a_.points * image_tiles * (counted + a_.loc);
    const std::int64_t most = std::max<std::int64_t>(kBackwardBlock / image, 1);
    images_ = even_share(most_images, most);
    z_size_ = kernels().winograd_block_size(a_, images_ * image_tiles, a_.loc);
  }

  // Only what concerns these input channels, where chunks are the tasks.
  void take_channels(std::int64_t begin, std::int64_t end) {
    begin_ = begin, end_ = end;
    fewer_ = by_channels_ && end - begin < threads_ * kChannels;
    in_waves_ = false;
  }
  bool by_channels() const { return by_channels_; }
  std::int64_t fewest_channels() const { return chunk_of(true); }
  void run() const { by_channels_ && !in_waves_ ? run_by_channels() : run_by_pieces(); }

 private:
  std::int64_t pieces_of_batch(std::int64_t image_tiles) const {
    if (dw_) return own_.count();
    return std::clamp(s_.n * image_tiles / kTilesOfPiece, kBatchPieces,
                      std::min(s_.n, 2 * kBatchPieces));
  }

  // Channels of a chunk.
  std::int64_t chunk_of(bool few) const {
    return std::min(a_.lc, round_up(few ? kFewChannels : kChannels, kernels().lanes));
  }

  void run_by_channels() const {
    const Chunks chunks(a_, chunk_of(fewer_), begin_, end_);
    Scratch scratch;
    const float* dy = output_.load_all(scratch);
    parallel_for(chunks.count, work_, [&](std::int64_t i) {
      Scratch own;
      float *u = own.take(chunks.size), *du = own.take(chunks.size);
      float *z = own.take(z_size_), *memory = own.take(chunk_memory(chunks));
      if (dx_) transform_weights(chunks, i, u);
      for (std::int64_t n = 0; n < s_.n; n += images_) {
        const std::int64_t end = std::min(n + images_, s_.n);
        const std::int64_t next = std::min(end + images_, s_.n);
        kernels().winograd_output_gradients(a_, dy, nullptr, z, n, end);
        const MemoryRange ahead[kRangesAhead] = {
            channels_of(chunks, i, x_, end, next),
            channels_of(chunks, i, dx_, n, end),
            {dy + end * output_size(), dy + next * output_size()}};
        run_chunk(chunks, i, z, u, dw_ ? du : nullptr, dx_, n, end, n > 0, worth_fetching(ahead),
                  memory);
      }
      if (dw_) weight_gradient(chunks, i, du, 0, chunks.a.lc, true);
    });
  }

  // Pieces that threads take as a whole, as many at a time as there are threads, and the others in
  // waves.
  void run_by_pieces() const {
    const std::int64_t whole = in_waves_ ? pieces_ / threads_ * threads_ : pieces_;
    // Ranks add up their gradients, so these lie alike in all, whatever their threads.
    const bool in_ranks = dw_ && exact_ranks_of(s_.n);
    const Chunks chunks =
        whole < pieces_ && !in_ranks ? chunks_of_tasks(pieces_ - whole) : large_chunks();
    Scratch scratch;
    float* du = dw_ ? scratch.take(pieces_, chunks.count, chunks.size) : nullptr;
    const bool shares = dx_ && threads_ >= kSharingThreads && whole > 0;
    const float* u = shares ? all_weights(chunks, scratch) : nullptr;
    if (whole > 0) run_whole_pieces(chunks, whole, u, du);
    if (whole < pieces_) run_in_waves(chunks, whole, u, du);
    if (dw_) add_up(chunks, du);
  }

  // Pieces [0, pieces); u are the weights that all threads share, if they do.
  void run_whole_pieces(const Chunks& chunks, std::int64_t pieces, const float* u,
                        float* du) const {
    const std::int64_t weights = chunks.count * chunks.size;
    struct Memory {
      const float* u;
      float *z, *chunk, *to;
    };
    const auto prepare = [&](Scratch& own) {
      return Memory{u ? u : own_weights(chunks, own), own.take(z_size_),
                    own.take(chunk_memory(chunks)), own.take(images_, output_.image_size())};
    };
    parallel_for(pieces, work_, prepare, [&](std::int64_t piece, const Memory& memory) {
      const std::int64_t first = first_of(piece), last = first_of(piece + 1);
      for (std::int64_t n = first; n < last; n += images_) {
        const std::int64_t end = std::min(n + images_, last), next = std::min(end + images_, last);
        const OutputGradient::Loaded dy = load(n, end, memory.to);
        kernels().winograd_output_gradients(a_, dy.dy, dy.indices, memory.z, 0, end - n);
        for (std::int64_t i = 0; i < chunks.count; ++i) {
          const bool more = i + 1 < chunks.count;
          const MemoryRange ahead[kRangesAhead] = {
              more ? channels_of(chunks, i + 1, x_, n, end) : channels_of(chunks, 0, x_, end, next),
              channels_of(chunks, i, dx_, n, end),
              slice(output_.gradient_of(end, next), i, i + 1, chunks.count),
              slice(output_.output_of(end, next), i, i + 1, chunks.count)};
          const std::int64_t at = i * chunks.size;
          run_chunk(chunks, i, memory.z, dx_ ? memory.u + at : nullptr,
                    dw_ ? du + piece * weights + at : nullptr, dx_, n, end, n > first,
                    worth_fetching(ahead), memory.chunk);
        }
      }
    });
  }

  // Pieces from first_piece on, some blocks of each at a time; u are all weights or null.
  void run_in_waves(const Chunks& chunks, std::int64_t first_piece, const float* u,
                    float* du) const {
    Scratch scratch;
    const float* dy = by_channels_ ? output_.load_all(scratch) : nullptr;
    const std::int64_t pieces = pieces_ - first_piece, weights = chunks.count * chunks.size;
    std::int64_t most = 0;
    for (std::int64_t i = first_piece; i < pieces_; ++i)
      most = std::max(most, first_of(i + 1) - first_of(i));
    const std::int64_t blocks = ceil_div(most, images_);
    const std::int64_t wave = std::min(ceil_div(threads_, pieces), blocks);
    float* z = scratch.take(pieces * wave, z_size_);
    // Where there are fewer chunks than threads, some of the output channels are a task, which then
    // transforms the inputs once more.
    const std::int64_t panels = ceil_div(a_.loc, kernels().tile_columns);
    const std::int64_t cuts = std::min(ceil_div(threads_, pieces * chunks.count), panels);
    const Chunks of_dx = u ? chunks : chunks_of_tasks(pieces * wave);
    if (dx_ && !u) u = all_weights(of_dx, scratch);
    for (std::int64_t first = 0; first < blocks; first += wave) {
      const std::int64_t last = std::min(first + wave, blocks), count = last - first;
      const auto z_of = [&](std::int64_t piece, std::int64_t block) {
        return z + (piece * wave + block - first) * z_size_;
      };
      transform_gradients(dy, first_piece, first, count, z_of);
      const auto run = [&](const Chunks& columns, std::int64_t i, std::int64_t piece,
                           std::int64_t block, const float* u, float* du, float* dx,
                           float* memory) {
        const MemoryRange nothing[kRangesAhead] = {};
        const auto [begin, end] = images_of(first_piece + piece, block);
        if (begin < end)
          run_chunk(columns, i, z_of(piece, block), u, du, dx, begin, end, block > 0, nothing,
                    memory);
      };
      const auto prepare = [&](Scratch& own) {
        return own.take(std::max(chunk_memory(chunks), chunk_memory(of_dx)));
      };
      const std::int64_t work = work_ * count / blocks / (dw_ && dx_ ? 2 : 1);
      if (dw_)
        parallel_for(pieces * chunks.count * cuts, work, prepare,
                     [&](std::int64_t task, float* memory) {
                       const std::int64_t i = task / cuts % chunks.count;
                       const std::int64_t piece = task / cuts / chunks.count;
                       const Chunks columns = columns_of(chunks, task % cuts, cuts);
                       float* sums = du + (first_piece + piece) * weights + i * chunks.size;
                       for (std::int64_t block = first; block < last; ++block)
                         run(columns, i, piece, block, nullptr, sums, nullptr, memory);
                     });
      // Behind it, for dx may be x.
      if (dx_)
        parallel_for(pieces * count * of_dx.count, work, prepare,
                     [&](std::int64_t task, float* memory) {
                       const std::int64_t i = task % of_dx.count, block = task / of_dx.count;
                       run(of_dx, i, block / count, first + block % count, u + i * of_dx.size,
                           nullptr, dx_, memory);
                     });
    }
  }

  // One of so many cuts of the output channels, between register tiles.
  static WinogradShape columns_of(WinogradShape a, std::int64_t cut, std::int64_t cuts) {
    const std::int64_t width = kernels().tile_columns, panels = ceil_div(a.loc, width);
    a.first_o = cut * panels / cuts * width;
    a.last_o = std::min((cut + 1) * panels / cuts * width, a.loc);
    return a;
  }
  static Chunks columns_of(Chunks chunks, std::int64_t cut, std::int64_t cuts) {
    chunks.a = columns_of(chunks.a, cut, cuts);
    return chunks;
  }

  // Chunks with so many tasks each, small where threads would not have enough of them.
  Chunks chunks_of_tasks(std::int64_t tasks) const {
    const Chunks large = large_chunks();
    return tasks * large.count < kTasksOfThread * threads_
               ? Chunks(a_, chunk_of(true), begin_, end_)
               : large;
  }
  Chunks large_chunks() const { return Chunks(a_, chunk_of(false), begin_, end_); }

  // The first image of a piece.
  std::int64_t first_of(std::int64_t piece) const {
    return dw_ && !by_channels_ ? own_.begin(piece) : piece * s_.n / pieces_;
  }

  // Images [begin, end) of a piece's block; none behind its last one.
  std::pair<std::int64_t, std::int64_t> images_of(std::int64_t piece, std::int64_t block) const {
    const std::int64_t first = first_of(piece) + block * images_;
    return {first, std::min(first + images_, first_of(piece + 1))};
  }

  // z of `count` blocks of each piece from first_piece on; `whole` is the gradient or null.
  template <class Place>
  void transform_gradients(const float* whole, std::int64_t first_piece, std::int64_t block,
                           std::int64_t count, const Place& place) const {
    const auto prepare = [&](Scratch& own) {
      return whole ? nullptr : own.take(images_, output_.image_size());
    };
    const std::int64_t tasks = (pieces_ - first_piece) * count;
    const std::int64_t panels = ceil_div(a_.loc, kernels().tile_columns);
    const std::int64_t cuts = std::min(ceil_div(threads_, tasks), panels);
    const std::int64_t work = product(tasks, z_size_);
    parallel_for(tasks * cuts, work, prepare, [&](std::int64_t task, float* to) {
      const WinogradShape a = columns_of(a_, task % cuts, cuts);
      task /= cuts;
      const std::int64_t piece = task / count, at = block + task % count;
      const auto [begin, end] = images_of(first_piece + piece, at);
      if (begin >= end) return;
      float* z = place(piece, at);
      if (whole) return kernels().winograd_output_gradients(a, whole, nullptr, z, begin, end);
      const OutputGradient::Loaded dy = load(begin, end, to);
      kernels().winograd_output_gradients(a, dy.dy, dy.indices, z, 0, end - begin);
    });
  }

  // The gradient of some images; tiles of 5 cut through the windows of a pool.
  OutputGradient::Loaded load(std::int64_t begin, std::int64_t end, float* to) const {
    if (a_.points < kMaxPoints) return output_.load_pooled(begin, end, to);
    return {output_.load(begin, end, to), nullptr};
  }

  // dw from the pieces' gradients.
  void add_up(const Chunks& chunks, float* du) const {
    const bool in_ranks = !by_channels_ && exact_ranks_of(s_.n);
    if (in_ranks) add_pieces(s_.n, du, pieces_, product(chunks.count, chunks.size));
    const std::int64_t cuts = ceil_div(chunks.a.lc, kWeightRows);
    const std::int64_t work = product(pieces_, chunks.count, chunks.size);
    parallel_for(chunks.count * cuts, work, [&](std::int64_t task) {
      const std::int64_t i = task / cuts, begin = task % cuts * kWeightRows;
      weight_gradient(chunks, i, du + i * chunks.size, begin,
                      std::min(begin + kWeightRows, chunks.a.lc), by_channels_ || in_ranks);
    });
  }

  void run_chunk(const Chunks& chunks, std::int64_t i, const float* z, const float* u, float* du,
                 float* dx, std::int64_t begin, std::int64_t end, bool accumulate,
                 const MemoryRange* ahead, float* memory) const {
    kernels().winograd_backward(chunks[i], x_, z, u, du, dx, chunks.first(i), begin, end,
                                accumulate, ahead, memory);
  }

  // Floats that run_chunk() needs.
  std::int64_t chunk_memory(const Chunks& chunks) const {
    return kernels().winograd_block_size(a_, images_ * a_.tiles_h * a_.tiles_w, chunks.a.lc);
  }

  // u of a chunk: from the output channels to the chunk's input channels.
  void transform_weights(const Chunks& chunks, std::int64_t i, float* u) const {
    kernels().winograd_transposed_weights(chunks[i], w_, chunks.first(i), u);
  }

  // u of all chunks, transformed by all threads.
  const float* all_weights(const Chunks& chunks, Scratch& scratch) const {
    float* u = scratch.take(chunks.count, chunks.size);
    const std::int64_t panels = ceil_div(a_.loc, kernels().tile_columns);
    parallel_for(chunks.count * panels, product(chunks.count, chunks.size), [&](std::int64_t task) {
      const std::int64_t i = task / panels;
      transform_weights(columns_of(chunks, task % panels, panels), i, u + i * chunks.size);
    });
    return u;
  }
  // The same by this thread alone; null where nobody asks for dx.
  const float* own_weights(const Chunks& chunks, Scratch& own) const {
    if (!dx_) return nullptr;
    float* u = own.take(chunks.count, chunks.size);
    for (std::int64_t i = 0; i < chunks.count; ++i)
      transform_weights(chunks, i, u + i * chunks.size);
    return u;
  }

  // dw for a chunk's input channels [begin, end), of those that there are; from all pieces of du or
  // their sum.
  void weight_gradient(const Chunks& chunks, std::int64_t i, const float* du, std::int64_t begin,
                       std::int64_t end, bool is_sum) const {
    const std::int64_t first = chunks.first(i);
    float* dw = dw_ + first * s_.oc;
    end = std::min({end, chunks[i].lc, s_.c - first});
    if (is_sum) return kernels().winograd_weight_gradient(chunks[i], du, dw, begin, end);
    kernels().winograd_weight_gradient_of_pieces(chunks[i], du, chunks.count * chunks.size, dw,
                                                 begin, end);
  }

  std::int64_t output_size() const { return s_.oh * s_.ow * s_.oc; }

  // A chunk's channels of images [begin, end) of x or dx, or nothing where it is null.
  MemoryRange channels_of(const Chunks& chunks, std::int64_t i, const float* x, std::int64_t begin,
                          std::int64_t end) const {
    if (!x) return {};
    const std::int64_t image = s_.h * s_.w * s_.c, channels = chunks.a.lc;
    return {x + begin * image + chunks.first(i), x + end * image, channels, s_.c};
  }

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
  std::int64_t begin_ = 0, end_;  // the input channels
  std::int64_t images_;           // in a block
  std::int64_t z_size_;           // floats of a block's z
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

void winograd_backward_weights(const Ranks& ranks, const ConvShape& s, const float* x,
                               const float* dy, float* dw) {
  std::int64_t unit = 1;
  {
    const WithoutRanks alone;
    Scratch scratch;
    const OutputGradient output(s, dy, nullptr, nullptr, nullptr, false, scratch);
    Backward backward(s, x, nullptr, output, false, nullptr, dw, scratch);
    unit = backward.fewest_channels();
    const ChannelShare share(ranks, ranks.rank(), s.c, unit);
    backward.take_channels(share.begin, round_up(share.end, kernels().lanes));
    if (share.begin < share.end) backward.run();
  }
  gather_channels(ranks, s.kh * s.kw, s.c, s.oc, unit, dw);
}

bool winograd_sums_by_pieces(const ConvShape& s) {
  Scratch scratch;
  const OutputGradient output(s, nullptr, nullptr, nullptr, nullptr, false, scratch);
  float dw = 0.0f;
  return !Backward(s, nullptr, nullptr, output, false, nullptr, &dw, scratch).by_channels();
}

void winograd_backward(const ConvShape& s, const float* x, const float* w,
                       const OutputGradient& output, bool add_to_dx, float* dx, float* dw) {
  Scratch scratch;
  Backward(s, x, w, output, add_to_dx, dx, dw, scratch).run();
}

}  // namespace convkit::ops
