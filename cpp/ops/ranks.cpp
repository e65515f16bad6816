#include "ranks.h"

#include <algorithm>

#include "../dispatch/cpu.h"
#include "../dispatch/settings.h"
#include "pack.h"
#include "parallel.h"

namespace convkit::ops {
namespace {

// Where there are more than kBatchPieces pieces each has so many positions, times a vector's lanes:
// enough that what is made of a piece's sum takes a small part of the time, of which it takes more
// where registers are few and short. And there are no more than so many pieces.
constexpr std::int64_t kPositionsOfPiece = 768 * 16;
constexpr std::int64_t kMostBatchPieces = 64;

}  // namespace

Ranks::Ranks(std::int64_t rank, std::int64_t count, std::int64_t samples, bool exact)
    : rank_(rank), count_(count), samples_(samples), exact_(exact) {}

const Ranks* ranks_of(std::int64_t n) {
  const Ranks* ranks = settings().ranks;
  return ranks && ranks->own_samples() == n ? ranks : nullptr;
}

const Ranks* exact_ranks_of(std::int64_t n) {
  const Ranks* ranks = ranks_of(n);
  return ranks && ranks->exact() ? ranks : nullptr;
}

const Ranks* exact_ranks_of_rows(std::int64_t rows) {
  const Ranks* ranks = settings().ranks;
  return ranks && ranks->exact() && rows % ranks->own_samples() == 0 ? ranks : nullptr;
}

std::int64_t whole_batch(std::int64_t n) {
  const Ranks* ranks = exact_ranks_of(n);
  return ranks ? ranks->samples() : n;
}

std::int64_t pieces_of_batch(const ConvShape& s) {
  const std::int64_t n = whole_batch(s.n);
  const std::int64_t most =
      std::min({kMostBatchPieces, n, product(n, s.oh, s.ow, kernels().lanes) / kPositionsOfPiece});
  std::int64_t pieces = kBatchPieces;
  while (2 * pieces <= most) pieces *= 2;
  return pieces;
}

std::int64_t first_element(std::int64_t n, std::int64_t size) {
  const Ranks* ranks = ranks_of(n);
  return ranks ? size / n * ranks->first(ranks->rank()) : 0;
}

OwnPieces::OwnPieces(std::int64_t n, std::int64_t pieces)
    : count_(pieces), pieces_(pieces), samples_(n) {
  const Ranks* ranks = pieces >= kBatchPieces ? exact_ranks_of(n) : nullptr;
  if (!ranks) return;
  count_ = pieces / ranks->count();
  samples_ = ranks->samples();
  first_ = ranks->rank() * count_;
  offset_ = ranks->first(ranks->rank());
}

void add_pieces(std::int64_t n, const float* parts, std::int64_t count, std::int64_t size,
                float* sum) {
  if (parts != sum) PartsSum(parts, count, size, sum).run();
  add_over_ranks(n, sum, size);
}

void add_over_ranks(std::int64_t n, float* sum, std::int64_t size) {
  if (const Ranks* ranks = exact_ranks_of(n)) ranks->sum(sum, size);
}

void gather_batch(const Ranks* ranks, const OwnValues* own, std::int64_t count, const float** all,
                  Scratch& scratch) {
  std::int64_t size = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    all[i] = own[i].values;
    size += own[i].size;
  }
  if (!ranks) return;
  std::vector<std::int64_t> offsets;
  for (std::int64_t r = 0; r <= ranks->count(); ++r) offsets.push_back(ranks->first(r) * size);
  // A rank's arrays one behind another.
  float* message = scratch.take(ranks->samples(), size);
  float* at = message + offsets[ranks->rank()];
  for (std::int64_t i = 0; i < count; ++i)
    at = std::copy_n(own[i].values, ranks->own_samples() * own[i].size, at);
  ranks->gather(message, offsets);
  if (count == 1) {
    all[0] = message;
    return;
  }
  std::int64_t before = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    float* to = scratch.take(ranks->samples(), own[i].size);
    all[i] = to;
    for (std::int64_t r = 0; r < ranks->count(); ++r) {
      const std::int64_t samples = ranks->first(r + 1) - ranks->first(r);
      to = std::copy_n(message + offsets[r] + samples * before, samples * own[i].size, to);
    }
    before += own[i].size;
  }
}

void copy_own(const Ranks& ranks, const float* all, std::int64_t size, float* own) {
  std::copy_n(all + ranks.first(ranks.rank()) * size, ranks.own_samples() * size, own);
}

ChannelShare::ChannelShare(const Ranks& ranks, std::int64_t rank, std::int64_t count,
                           std::int64_t unit) {
  const std::int64_t units = ceil_div(count, unit);
  begin = std::min(rank * units / ranks.count() * unit, count);
  end = std::min((rank + 1) * units / ranks.count() * unit, count);
}

void gather_channels(const Ranks& ranks, std::int64_t matrices, std::int64_t count,
                     std::int64_t width, std::int64_t unit, float* values) {
  Scratch scratch;
  float* all = matrices == 1 ? values : scratch.take(matrices, count, width);
  std::vector<std::int64_t> offsets{0};
  const auto each_share = [&](std::int64_t rank, const auto& copy) {
    const ChannelShare share(ranks, rank, count, unit);
    const std::int64_t size = (share.end - share.begin) * width;
    for (std::int64_t i = 0; i < matrices; ++i)
      copy(values + (i * count + share.begin) * width, all + offsets[rank] + i * size, size);
    return matrices * size;
  };
  const auto nothing = [](float*, float*, std::int64_t) {};
  for (std::int64_t r = 0; r < ranks.count(); ++r)
    offsets.push_back(offsets[r] + each_share(r, nothing));
  if (matrices == 1) return ranks.gather(values, offsets);
  each_share(ranks.rank(), [](float* value, float* packed, std::int64_t size) {
    std::copy_n(value, size, packed);
  });
  ranks.gather(all, offsets);
  for (std::int64_t r = 0; r < ranks.count(); ++r)
    each_share(r, [](float* value, float* packed, std::int64_t size) {
      std::copy_n(packed, size, value);
    });
}

}  // namespace convkit::ops
