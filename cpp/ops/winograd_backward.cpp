#include "winograd_gradients.h"

#include <algorithm>

#include "../dispatch/cpu.h"
#include "parallel.h"
#include "winograd.h"

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
// Below so many chunks a block has the images that fit with the fewer channels.
constexpr std::int64_t kFewChunks = 4;

// The part of a range that goes with steps [begin, end) of total.
MemoryRange slice(const MemoryRange& range, std::int64_t begin, std::int64_t end,
                  std::int64_t total) {
  const std::int64_t size = range.end - range.begin;
  return {range.begin + size * begin / total, range.begin + size * std::min(end, total) / total};
}

// Begins to read memory into the second-level cache.
void fetch(const MemoryRange& range) {
  if (!wants_prefetches()) return;
  for (const float* row = range.begin; row < range.end; row += range.stride)
    for (std::int64_t i = 0; i < range.width; i += kLine) __builtin_prefetch(row + i, 0, 2);
}

}  // namespace

WinogradGradients::WinogradGradients(const ConvShape& s, const float* x, const float* w,
                                     const OutputGradient& output, bool add_to_dx, float* dx,
                                     float* dw, Scratch& scratch)
    : s_(s), x_(x), w_(w), output_(output), dx_(dx), dw_(dw), own_(s.n, pieces_of_batch(s)) {
  a_ = winograd_shape(s, false, scratch);
  a_.add_to_dx = add_to_dx;
  end_ = a_.lc;
  work_ = product(vector_products(a_), dx && dw ? 2 : 1);
  const bool large = weights_size(a_) > (dw ? kLargeGradient : kOwnWeights);
  const std::int64_t whole = dw ? whole_batch(s.n) : s.n;
  by_channels_ = whole < kBatchPieces || large;
  threads_ = threads_for(kLargest, work_);
  in_waves_ = threads_ >= kSharingThreads &&
              !(by_channels_ && ceil_div(a_.lc, chunk_of(false)) % threads_ == 0);
  fewer_ = by_channels_ && a_.lc < threads_ * kChannels;
  const std::int64_t image_tiles = a_.tiles_h * a_.tiles_w;
  pieces_ = by_channels_ ? 1 : count_pieces(image_tiles);
  most_images_ = dw && !by_channels_ ? ceil_div(whole, pieces_of_batch(s)) : ceil_div(s.n, pieces_);
  a_.sum_apart = product(most_images_, image_tiles) > kLongProduct;
  // The images of a block decide in which order sums are made, so threads have no part in them.
  const std::int64_t counted = chunk_of(by_channels_ && a_.lc < kFewChunks * kChannels);
  const std::int64_t image = a_.points * a_.points * image_tiles * (counted + a_.loc);
  const std::int64_t most = std::max<std::int64_t>(kBackwardBlock / image, 1);
  images_ = even_share(most_images_, most);
  z_size_ = block_size(a_.loc);
}

void WinogradGradients::take_channels(std::int64_t begin, std::int64_t end) {
  begin_ = begin, end_ = end;
  fewer_ = by_channels_ && end - begin < threads_ * kChannels;
  in_waves_ = false;
}

void WinogradGradients::run() const {
  if (in_waves_) return run_in_waves();
  by_channels_ ? run_by_channels() : run_by_pieces();
}

std::int64_t WinogradGradients::count_pieces(std::int64_t image_tiles) const {
  if (dw_) return own_.count();
  return std::clamp(s_.n * image_tiles / kTilesOfPiece, kBatchPieces,
                    std::min(s_.n, 2 * kBatchPieces));
}

PieceRuns WinogradGradients::runs_for(std::int64_t threads) const {
  return {pieces_, dw_ ? std::max<std::int64_t>(pieces_ / kBatchPieces, 1) : 1, threads};
}

PartsSum WinogradGradients::sum_of(const Parts& parts, const PieceRuns& runs, std::int64_t count,
                                   Scratch& scratch) const {
  std::uint8_t* levels = scratch.take<std::uint8_t>(count);
  for (std::int64_t i = 0; i < count; ++i)
    levels[i] = static_cast<std::uint8_t>(i < runs.count() ? runs[i].level : 0);
  return {parts.data, count, parts.size, dw_, levels};
}

void WinogradGradients::run_by_channels() const {
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
      kernels().winograd_output_gradients(a_, dy, nullptr, z, n, end, 0, end - n);
      const MemoryRange ahead[kRangesAhead] = {
          channels_of(chunks, i, x_, end, next),
          channels_of(chunks, i, dx_, n, end),
          {dy + end * output_size(), dy + next * output_size()}};
      run_chunk(chunks, i, z, u, dw_ ? du : nullptr, dx_, n, end, n > 0, worth_fetching(ahead),
                memory);
    }
    if (dw_) weight_gradient(chunks, i, du, dw_, 0, chunks.a.lc);
  });
  output_.add_up();
}

void WinogradGradients::run_by_pieces() const {
  const Chunks chunks = large_chunks();
  Scratch scratch;
  const PieceRuns runs = runs_for(1);
  const Parts parts = take_parts(runs.count(), scratch);
  struct Memory {
    const float* u;
    float* others;
  };
  const auto prepare = [&](Scratch& own) {
    return Memory{own_weights(chunks, own), own.take(run_memory(chunks, runs.longest()))};
  };
  parallel_for(runs.count(), work_, prepare, [&](std::int64_t i, const Memory& memory) {
    // A thread's next run is most often the one behind.
    const OwnChunks all = {chunks, memory.u, 0, chunks.count, true, s_.n};
    run_pieces(all, runs[i], parts[i], memory.others);
  });
  output_.add_up();
  if (!dw_) return;
  if (parts.data != dw_) sum_of(parts, runs, runs.count(), scratch).run();
  add_over_ranks(s_.n, dw_, dw_size());
}

void WinogradGradients::run_pieces(const OwnChunks& own, const PieceRuns::Run& run, float* part,
                                   float* memory) const {
  const std::int64_t first = first_of(run.first);
  const std::int64_t end = std::min(first + images_, first_of(run.first + 1));
  fetch(channels_of(own.chunks, own.begin, x_, first, end));
  sum_pieces(own, run.first, run.size, part, memory, memory + run_memory(own.chunks, 1));
}

void WinogradGradients::sum_pieces(const OwnChunks& own, std::int64_t piece, std::int64_t count,
                                   float* part, float* memory, float* sums) const {
  if (count == 1) return run_piece(own, piece, part, memory);
  const std::int64_t half = count / 2;
  sum_pieces(own, piece, half, part, memory, sums);
  sum_pieces(own, piece + half, half, sums, memory, sums + dw_size());
  kernels().accumulate(part, sums, dw_size(), 1.0f);
}

void WinogradGradients::run_piece(const OwnChunks& own, std::int64_t piece, float* part,
                                  float* memory) const {
  const auto& [chunks, u, begin, stop, is_first, until] = own;
  float *z = memory, *chunk = z + z_size_, *to = chunk + chunk_memory(chunks);
  float* du = to + loaded_size();
  const std::int64_t first = first_of(piece), last = first_of(piece + 1);
  for (std::int64_t n = first; n < last; n += images_) {
    const std::int64_t end = std::min(n + images_, last), next = std::min(end + images_, until);
    const OutputGradient::Loaded dy = load(n, end, to, !is_first);
    kernels().winograd_output_gradients(a_, dy.dy, dy.indices, z, 0, end - n, 0, end - n);
    for (std::int64_t i = begin; i < stop; ++i) {
      const bool more = i + 1 < stop;
      const MemoryRange ahead[kRangesAhead] = {
          more ? channels_of(chunks, i + 1, x_, n, end) : channels_of(chunks, begin, x_, end, next),
          channels_of(chunks, i, dx_, n, end),
          slice(output_.gradient_of(end, next), i - begin, i - begin + 1, stop - begin),
          slice(output_.output_of(end, next), i - begin, i - begin + 1, stop - begin)};
      float* sums = dw_ ? du + i % kept_chunks(chunks) * chunks.size : nullptr;
      run_chunk(chunks, i, z, dx_ ? u + i * chunks.size : nullptr, sums, dx_, n, end, n > first,
                worth_fetching(ahead), chunk);
      if (dw_ && end == last) weight_gradient(chunks, i, sums, part, 0, chunks.a.lc);
    }
  }
}

void WinogradGradients::weight_gradient(const Chunks& chunks, std::int64_t i, const float* du,
                                        float* dw, std::int64_t begin, std::int64_t end) const {
  const std::int64_t first = chunks.first(i);
  kernels().winograd_weight_gradient(chunks[i], du, dw + first * s_.oc, begin,
                                     std::min({end, chunks[i].lc, s_.c - first}));
}

const float* WinogradGradients::own_weights(const Chunks& chunks, Scratch& own) const {
  if (!dx_) return nullptr;
  float* u = own.take(chunks.count, chunks.size);
  for (std::int64_t i = 0; i < chunks.count; ++i) transform_weights(chunks, i, u + i * chunks.size);
  return u;
}

MemoryRange WinogradGradients::channels_of(const Chunks& chunks, std::int64_t i, const float* x,
                                           std::int64_t begin, std::int64_t end) const {
  if (!x) return {};
  const std::int64_t image = s_.h * s_.w * s_.c, channels = chunks.a.lc;
  return {x + begin * image + chunks.first(i), x + end * image, channels, s_.c};
}

void winograd_backward_input(const ConvShape& s, const float* dy, const float* w, bool add_to_dx,
                             float* dx) {
  Scratch scratch;
  const OutputGradient output(s, dy, nullptr, nullptr, nullptr, nullptr, scratch);
  winograd_backward(s, nullptr, w, output, add_to_dx, dx, nullptr);
}

void winograd_backward_weights(const ConvShape& s, const float* x, const float* dy, float* dw) {
  Scratch scratch;
  const OutputGradient output(s, dy, nullptr, nullptr, nullptr, nullptr, scratch);
  winograd_backward(s, x, nullptr, output, false, nullptr, dw);
}

void winograd_backward_weights(const Ranks& ranks, const ConvShape& s, const float* x,
                               const float* dy, float* dw) {
  std::int64_t unit = 1;
  {
    const WithoutRanks alone;
    Scratch scratch;
    const OutputGradient output(s, dy, nullptr, nullptr, nullptr, nullptr, scratch);
    WinogradGradients backward(s, x, nullptr, output, false, nullptr, dw, scratch);
    unit = backward.fewest_channels();
    const ChannelShare share(ranks, ranks.rank(), s.c, unit);
    backward.take_channels(share.begin, round_up(share.end, kernels().lanes));
    if (share.begin < share.end) backward.run();
  }
  gather_channels(ranks, s.kh * s.kw, s.c, s.oc, unit, dw);
}

bool winograd_sums_by_pieces(const ConvShape& s) {
  Scratch scratch;
  const OutputGradient output(s, nullptr, nullptr, nullptr, nullptr, nullptr, scratch);
  float dw = 0.0f;
  return !WinogradGradients(s, nullptr, nullptr, output, false, nullptr, &dw, scratch)
              .by_channels();
}

void winograd_backward(const ConvShape& s, const float* x, const float* w,
                       const OutputGradient& output, bool add_to_dx, float* dx, float* dw) {
  Scratch scratch;
  WinogradGradients(s, x, w, output, add_to_dx, dx, dw, scratch).run();
}

}  // namespace convkit::ops
