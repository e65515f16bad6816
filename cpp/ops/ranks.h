// A batch that several processes ("ranks") share: each has some neighbouring samples of it. What an
// operation sums over the batch it puts together from all of them, in the order in which one
// process would: by pieces of the batch, of which a rank has some as a whole, or else from the
// values themselves, gathered from all ranks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "../dispatch/settings.h"
#include "../shapes.h"
#include "scratch.h"

namespace convkit::ops {

// The ranks as one of them sees them, and how it reaches the others. Its functions are called by
// the thread that an operation began in, between parallel regions.
class Ranks {
 public:
  // `samples` are those of the whole batch. Where sums are exact, there are at least kBatchPieces
  // of them, and 1, 2, 4 or 8 ranks.
  Ranks(std::int64_t rank, std::int64_t count, std::int64_t samples, bool exact);
  virtual ~Ranks() = default;

  std::int64_t rank() const { return rank_; }
  std::int64_t count() const { return count_; }
  std::int64_t samples() const { return samples_; }
  bool exact() const { return exact_; }
  // The first sample of a rank, which may be behind the last one.
  std::int64_t first(std::int64_t rank) const { return rank * samples_ / count_; }
  std::int64_t own_samples() const { return first(rank_ + 1) - first(rank_); }

  // The floats [offsets[r], offsets[r + 1]) of `all` become those of rank r, which it has there.
  virtual void gather(float* all, const std::vector<std::int64_t>& offsets) const = 0;
  // Each of `size` values becomes the sum over all ranks: pairs of neighbours, then pairs of pairs.
  virtual void sum(float* values, std::int64_t size) const = 0;

 private:
  std::int64_t rank_, count_, samples_;
  bool exact_;
};

// Those whose batch has n samples here; null where there are none, or an operation is not about the
// batch.
const Ranks* ranks_of(std::int64_t n);
// The same where sums shall have one process's bits.
const Ranks* exact_ranks_of(std::int64_t n);

// The same for so many rows, as many of each sample.
const Ranks* exact_ranks_of_rows(std::int64_t rows);

// The samples of the whole batch of which n are here. What depends on it, such as the choice of an
// algorithm, is the same on all ranks and in one process.
std::int64_t whole_batch(std::int64_t n);

// The pieces of the whole batch that a weight gradient is summed over: kBatchPieces, of batches
// with as many images; and for many threads more, each of which is enough work.
std::int64_t pieces_of_batch(const ConvShape& s);

// The number of an element among those of the whole batch, for the first one of `size` here, which
// belong to n samples.
std::int64_t first_element(std::int64_t n, std::int64_t size);

// The pieces of a batch of n samples that a sum is cut into, where there are `pieces` for the whole
// batch: those of this rank, if there are kBatchPieces or more.
class OwnPieces {
 public:
  OwnPieces(std::int64_t n, std::int64_t pieces);
  std::int64_t count() const { return count_; }
  // The first sample of the i-th.
  std::int64_t begin(std::int64_t i) const { return (first_ + i) * samples_ / pieces_ - offset_; }

 private:
  std::int64_t count_, pieces_, samples_, first_ = 0, offset_ = 0;
};

// The sum of `count` arrays, one for each of this rank's pieces of n samples, and those of all
// other ranks: pairs, then pairs of pairs, the same tree for any number of threads and ranks. A
// single array may be the sum itself.
void add_pieces(std::int64_t n, const float* parts, std::int64_t count, std::int64_t size,
                float* sum);

// The same where `sum` is this rank's already.
void add_over_ranks(std::int64_t n, float* sum, std::int64_t size);

// Values of the samples that are here, `size` floats of each.
struct OwnValues {
  const float* values;
  std::int64_t size;
};

// The whole batch's values, of several arrays by one message; without ranks, what is here.
void gather_batch(const Ranks* ranks, const OwnValues* own, std::int64_t count, const float** all,
                  Scratch& scratch);
template <std::size_t Count>
std::array<const float*, Count> gather_batch(const Ranks* ranks, const OwnValues (&own)[Count],
                                             Scratch& scratch) {
  std::array<const float*, Count> all;
  gather_batch(ranks, own, Count, all.data(), scratch);
  return all;
}
inline const float* gather_batch(const Ranks* ranks, const float* own, std::int64_t size,
                                 Scratch& scratch) {
  return gather_batch(ranks, {{own, size}}, scratch)[0];
}

// This rank's part of the whole batch's values.
void copy_own(const Ranks& ranks, const float* all, std::int64_t size, float* own);

// The channels [begin, end) of `count`, in units of some, that are a rank's share of what is summed
// over a gathered batch.
struct ChannelShare {
  std::int64_t begin, end;
  ChannelShare(const Ranks& ranks, std::int64_t rank, std::int64_t count, std::int64_t unit);
};

// Each rank's share of the rows [begin, end) of every (count, width) matrix becomes all ranks'.
void gather_channels(const Ranks& ranks, std::int64_t matrices, std::int64_t count,
                     std::int64_t width, std::int64_t unit, float* values);

// Until its end the calling thread, which is in an operation, computes for itself alone.
class WithoutRanks {
 public:
  WithoutRanks() : own_(settings()), scope_((own_.ranks = nullptr, own_)) {}

 private:
  Settings own_;
  WorkerScope scope_;
};

}  // namespace convkit::ops
