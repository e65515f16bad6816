#include <algorithm>

#include "../dispatch/cpu.h"
#include "task_phases.h"
#include "winograd_gradients.h"

namespace convkit::ops {
namespace {

// A wave has an image for each thread, or as many as take so many floats transformed, and a phase
// has about so many tasks for each.
constexpr std::int64_t kWave = 1024 * 1024;
constexpr std::int64_t kTasksOfThread = 3;
constexpr std::int64_t kMostShares = 4;
// The more images, the longer waves add to partial gradients that no cache keeps.
constexpr std::int64_t kManyImages = 64;
constexpr MemoryRange kNothing[kRangesAhead] = {};

}  // namespace

// The gradients by three threads or more. A thread takes runs of pieces, or several share a piece.
// What is left is cut: a few blocks of each piece, a wave, are transformed, and both gradients are
// computed from that, while the next wave is transformed.
class WinogradGradients::Waves {
 public:
  Waves(const WinogradGradients& all, Scratch& scratch)
      : all_(all),
        shares_(shares()),
        runs_(shares_ > 1 ? PieceRuns(all.pieces_, 1, 1) : all.runs_for(all.threads_)),
        cut_(all.pieces_ - runs_.pieces()),
        chunks_(all.large_chunks().count % shares_ == 0 ? all.large_chunks() : all.small_chunks()),
        columns_(runs_.count() > 0 || cut_ * chunks_.count >= all.threads_ ? chunks_
                                                                           : all.small_chunks()),
        parts_of_dw_(all.take_parts(runs_.count() + cut_, scratch)) {
    u_ = all.dx_ ? scratch.take(chunks_.count, chunks_.size) : nullptr;
    if (cut_ == 0) return;
    cut_into_waves();
    const std::int64_t slots = product(std::min<std::int64_t>(count_, 2), cut_, blocks_);
    z_ = scratch.take(slots, all.z_size_);
    if (!all.dw_) return;
    if (parts_ > 1) v_ = scratch.take(slots, columns_.count, v_size_);
    if (!is_alone_) du_ = scratch.take(cut_, columns_.count, columns_.size);
  }

  void run() const {
    Scratch scratch;
    TaskPhases phases(static_cast<int>(3 * count_ + 5), scratch);
    int by_weights = -1, by_whole = -1;
    if (all_.dx_)
      by_weights = phases.add(1, chunks_.count * weight_tasks(), 0, {},
                              [this](auto, std::int64_t task, auto) { transform_weights(task); });
    if (runs_.count() > 0)
      by_whole =
          phases.add(runs_.count(), shares_, all_.run_memory(chunks_, runs_.longest()),
                     {{by_weights}}, [this](std::int64_t run, std::int64_t share, float* memory) {
                       run_pieces(run, share, memory);
                     });
    // Of the last wave, and of the one before, whose memory the next one takes.
    int by_transforms[2] = {-1, -1}, by_products[2] = {-1, -1}, by_inputs[2] = {-1, -1};
    for (std::int64_t i = 0; i <= count_; ++i) {
      const std::int64_t now = i % 2, before = (i + 1) % 2;
      if (i < count_)
        by_transforms[now] =
            phases.add(cut_, blocks_ * all_.images_, all_.output_.image_size(),
                       {{by_products[now], true}, {by_inputs[now], true}},
                       [this, i](std::int64_t group, std::int64_t task, float* memory) {
                         transform(i, group, task, memory);
                       });
      if (i > 0 && all_.dw_)
        by_products[before] = phases.add(
            cut_, columns_.count * parts_, v_ ? 0 : sum(all_.chunk_memory(columns_), columns_.size),
            {{by_transforms[before], true}, {by_products[now], true}},
            [this, i](std::int64_t group, std::int64_t task, float* memory) {
              multiply_inputs(i - 1, group, task, memory);
            });
      // dx may be x.
      if (i > 0 && all_.dx_)
        by_inputs[before] = phases.add(
            cut_, blocks_ * chunks_.count * cuts_, all_.chunk_memory(chunks_),
            {{by_weights}, {by_transforms[before], true}, {v_ ? -1 : by_products[before], true}},
            [this, i](std::int64_t group, std::int64_t task, float* memory) {
              multiply_weights(i - 1, group, task, memory);
            });
    }
    const std::int64_t last = (count_ + 1) % 2;
    int by_cut = -1;
    if (all_.dw_) by_cut = transform_back(phases, by_products[last]);
    all_.output_.add_up(phases, {{by_whole}, {by_transforms[0]}, {by_transforms[1]}});
    if (parts_of_dw_.data != all_.dw_) {
      const PartsSum sum = all_.sum_of(parts_of_dw_, runs_, runs_.count() + cut_, scratch);
      phases.add(1, sum.tasks(), 0, {{by_whole}, {by_cut}},
                 [sum](auto, std::int64_t task, auto) { sum.run(task); });
    }
    phases.run(all_.work_);
    all_.output_.add_up_with_ranks();
    if (all_.dw_ && !all_.by_channels_) add_over_ranks(all_.s_.n, all_.dw_, all_.dw_size());
  }

 private:
  void cut_into_waves() {
    const std::int64_t tasks = kTasksOfThread * all_.threads_, products = cut_ * columns_.count;
    const bool even = products % all_.threads_ == 0;
    if (products < (cut_ > 1 || even ? all_.threads_ : tasks))
      parts_ = std::min(ceil_div(tasks, products), all_.a_.points * all_.a_.points);
    const std::int64_t images =
        std::max<std::int64_t>(all_.threads_, kWave * all_.images_ / all_.z_size_);
    const std::int64_t blocks = ceil_div(all_.most_images_, all_.images_);
    blocks_ = even_share(blocks, ceil_div(images, cut_ * all_.images_));
    count_ = ceil_div(blocks, blocks_);
    cuts_ = std::min(ceil_div(tasks, product(cut_, blocks_, chunks_.count)), all_.images_);
    is_alone_ = parts_ == 1 && count_ == 1;
    v_size_ = all_.block_size(columns_.a.lc);
  }

  // Threads that share a piece, where all have as many pieces' shares: each has some chunks, and
  // transforms the gradient for itself. 1 where they do not, or waves take less.
  std::int64_t shares() const {
    if (all_.by_channels_ || all_.pieces_ >= all_.threads_ || all_.s_.n < kManyImages) return 1;
    for (std::int64_t shares = 2; shares <= kMostShares; ++shares) {
      const bool even = all_.pieces_ * shares % all_.threads_ == 0;
      if (even &&
          (all_.large_chunks().count % shares == 0 || all_.small_chunks().count % shares == 0))
        return shares;
    }
    return 1;
  }

  // A run of whole pieces, or a share of a piece.
  void run_pieces(std::int64_t i, std::int64_t share, float* memory) const {
    const PieceRuns::Run run = runs_[i];
    const OwnChunks mine = {chunks_,
                            u_,
                            share * chunks_.count / shares_,
                            (share + 1) * chunks_.count / shares_,
                            share == 0,
                            all_.first_of(run.first + run.size)};
    all_.run_pieces(mine, run, parts_of_dw_[i], memory);
  }

  // The cut pieces' parts of dw from their transformed gradients. Returns the phase that they need.
  int transform_back(TaskPhases& phases, int by_products) const {
    if (!du_) return by_products;
    const std::int64_t cuts = ceil_div(columns_.a.lc, kWeightRows);
    return phases.add(cut_, columns_.count * cuts, 0, {{by_products, true}},
                      [this, cuts](std::int64_t group, std::int64_t task, auto) {
                        const std::int64_t c = task / cuts, begin = task % cuts * kWeightRows;
                        all_.weight_gradient(columns_, c, du_of(group, c),
                                             parts_of_dw_[runs_.count() + group], begin,
                                             begin + kWeightRows);
                      });
  }

  // The tasks of a chunk's weights, a vector of input and one of output channels, and one of them.
  std::int64_t weight_tasks() const {
    return ceil_div(chunks_.a.lc, kernels().lanes) * (all_.a_.loc / kernels().lanes);
  }
  void transform_weights(std::int64_t task) const {
    const std::int64_t lanes = kernels().lanes, cuts = all_.a_.loc / lanes;
    const std::int64_t i = task / weight_tasks(), begin = task % weight_tasks() / cuts * lanes;
    WinogradShape chunk = chunks_[i];
    chunk.first_o = task % cuts * lanes, chunk.last_o = chunk.first_o + lanes;
    kernels().winograd_transposed_weights(chunk, all_.w_, chunks_.first(i), begin,
                                          std::min(begin + lanes, chunk.lc), u_ + i * chunks_.size);
  }

  // An image of a wave: its gradient to z, its input to v, which is null where dw's tasks transform
  // it for themselves.
  void transform(std::int64_t wave, std::int64_t group, std::int64_t task, float* memory) const {
    const std::int64_t block = task / all_.images_;
    const auto [begin, end] = images_of(wave, group, block);
    const std::int64_t n = begin + task % all_.images_;
    if (n >= end) return;
    const OutputGradient::Loaded dy = all_.load(n, n + 1, memory);
    kernels().winograd_output_gradients(all_.a_, dy.dy, dy.indices, z_of(wave, group, block), 0, 1,
                                        n - begin, end - begin);
    if (!v_) return;
    for (std::int64_t c = 0; c < columns_.count; ++c)
      kernels().winograd_image_inputs(columns_[c], all_.x_, columns_.first(c), n, n - begin,
                                      end - begin, v_of(wave, group, block, c));
  }

  // du of a wave and a chunk of channels, or of some of its points.
  void multiply_inputs(std::int64_t wave, std::int64_t group, std::int64_t task,
                       float* memory) const {
    const std::int64_t c = task / parts_, part = task % parts_;
    const std::int64_t points = all_.a_.points * all_.a_.points;
    float* du = is_alone_ ? memory + all_.chunk_memory(columns_) : du_of(group, c);
    for (std::int64_t block = 0; block < blocks_; ++block) {
      const auto [begin, end] = images_of(wave, group, block);
      const bool more = wave > 0 || block > 0;
      const float* z = z_of(wave, group, block);
      if (begin >= end) break;
      if (v_) {
        kernels().winograd_outer_products(columns_[c], v_of(wave, group, block, c), z, du,
                                          end - begin, part * points / parts_,
                                          (part + 1) * points / parts_, more);
      } else {
        all_.run_chunk(columns_, c, z, nullptr, du, nullptr, begin, end, more, kNothing, memory);
      }
    }
    if (is_alone_)
      all_.weight_gradient(columns_, c, du, parts_of_dw_[runs_.count() + group], 0, columns_.a.lc);
  }

  // dx of a chunk of channels, of some images of a wave's block.
  void multiply_weights(std::int64_t wave, std::int64_t group, std::int64_t task,
                        float* memory) const {
    const std::int64_t c = task % chunks_.count, cut = task / chunks_.count % cuts_;
    const std::int64_t block = task / chunks_.count / cuts_;
    const auto [begin, end] = images_of(wave, group, block);
    const std::int64_t count = std::max<std::int64_t>(end - begin, 0);
    const std::int64_t from = cut * count / cuts_, to = (cut + 1) * count / cuts_;
    if (from < to)
      kernels().winograd_input_gradients(chunks_[c], z_of(wave, group, block),
                                         u_ + c * chunks_.size, all_.dx_, chunks_.first(c),
                                         begin + from, begin + to, from, count, memory);
  }

  std::pair<std::int64_t, std::int64_t> images_of(std::int64_t wave, std::int64_t group,
                                                  std::int64_t block) const {
    return all_.images_of(runs_.pieces() + group, wave * blocks_ + block);
  }
  float* du_of(std::int64_t group, std::int64_t c) const {
    return du_ + (group * columns_.count + c) * columns_.size;
  }
  // Where a block of a wave is: two waves are in memory at a time.
  std::int64_t slot(std::int64_t wave, std::int64_t group, std::int64_t block) const {
    return (wave % 2 * cut_ + group) * blocks_ + block;
  }
  float* z_of(std::int64_t wave, std::int64_t group, std::int64_t block) const {
    return z_ + slot(wave, group, block) * all_.z_size_;
  }
  float* v_of(std::int64_t wave, std::int64_t group, std::int64_t block, std::int64_t c) const {
    return v_ + (slot(wave, group, block) * columns_.count + c) * v_size_;
  }

  const WinogradGradients& all_;
  const std::int64_t shares_;  // of a whole piece
  const PieceRuns runs_;
  const std::int64_t cut_;         // pieces
  const Chunks chunks_, columns_;  // of dx, and of dw
  const Parts parts_of_dw_;        // of the runs, and then of the cut pieces
  std::int64_t parts_ = 1;         // of a chunk's points
  std::int64_t blocks_ = 1;        // of a piece in a wave
  std::int64_t count_ = 0;         // waves
  std::int64_t cuts_ = 1;          // of a block's images
  bool is_alone_ = false;          // whether a task has all of a cut piece and a chunk
  std::int64_t v_size_ = 0;        // floats of a block's inputs, of a chunk
  float *u_ = nullptr, *du_ = nullptr, *z_ = nullptr, *v_ = nullptr;
};

void WinogradGradients::run_in_waves() const {
  Scratch scratch;
  Waves(*this, scratch).run();
}

}  // namespace convkit::ops
