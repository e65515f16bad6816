// The gradient behind a convolution, taken back through max-pooling, ReLU, batch normalisation and
// the bias.
#pragma once

#include "../shapes.h"
#include "batchnorm.h"
#include "scratch.h"
#include "task_phases.h"

namespace convkit::ops {

// Gives the gradient of the convolution's own outputs for a few images at a time, so that they are
// still in a core's cache when the gradients of its weights and its input are computed from them.
// load() is called from several threads; every image must be loaded once before add_up(), and may
// be loaded `again`, which leaves the bias's sums to the first time.
class OutputGradient {
 public:
  // dy, y and indices are what the forward pass wrote last: y is null without ReLU, or where norm
  // computes it again; indices are null without pooling, norm without batch normalisation. With
  // pooling but without norm, s has even OH and OW. db (OC), the bias's gradient, may be null. With
  // an activation other than ReLU, y is what its derivative is computed from.
  OutputGradient(const ConvShape& s, const float* dy, const float* y, const std::uint8_t* indices,
                 const BatchNormGradient* norm, float* db, Scratch& scratch,
                 const Epilogue& behind = {});

  // Floats of an image's gradient, 0 where load() needs none.
  std::int64_t image_size() const;
  // The gradient (end - begin, OH, OW, OC) of images [begin, end): in `to`, or dy itself.
  const float* load(std::int64_t begin, std::int64_t end, float* to, bool again = false) const;
  // The same, but with pooling alone the gradient behind it and the maxima's indices, which spares
  // writing the larger one.
  struct Loaded {
    const float* dy;
    const std::uint8_t* indices;  // null where dy is not pooled
  };
  Loaded load_pooled(std::int64_t begin, std::int64_t end, float* to, bool again = false) const;
  // What load() will read first: the gradient behind, and the outputs that it depends on.
  MemoryRange gradient_of(std::int64_t begin, std::int64_t end) const;
  MemoryRange output_of(std::int64_t begin, std::int64_t end) const;
  // The gradient of all images over threads, in `scratch` or dy itself.
  const float* load_all(Scratch& scratch) const;
  // The bias's gradient, if it is wanted. Ranks, whatever their threads, do so before they add up
  // their parts of dw.
  void add_up() const;
  // The same as a task of phases, unless other ranks have a part in it; then behind the phases.
  void add_up(TaskPhases& phases, std::initializer_list<TaskPhases::Need> needs) const;
  void add_up_with_ranks() const;

  // The sums over the batch that norm needs before the first load().
  void reduce() const;
  // The same where ReLU was behind a sum y: the gradient becomes dy where y > 0.
  void reduce_masked(const float* dy, const float* y, float* gradient) const;
  // The same where an activation other than ReLU was behind the normalisation: `gradient` becomes
  // what is behind that.
  void reduce_activated(const float* dy, float* gradient) const;

 private:
  // The gradient behind the pooling, through ReLU: in `to` or dy itself. Sums it for the bias.
  const float* masked(std::int64_t begin, std::int64_t end, float* to, bool again) const;
  // Calls f(row, count, sums) for blocks of an image's rows; if the sums are to be kept, they are
  // added up for the image.
  template <class F>
  void each_block(std::int64_t n, std::int64_t rows, bool kept, const F& f) const;
  // The gradient behind the bias or batch normalisation.
  const float* unpooled(std::int64_t begin, std::int64_t end, float* to, bool again) const;

  ConvShape s_;
  const float *dy_, *y_;
  const std::uint8_t* indices_;
  const BatchNormGradient* norm_;
  float* db_;
  Epilogue behind_;
  std::int64_t rows_;  // of one image behind the pooling
  float* sums_;        // (N, OC)
};

}  // namespace convkit::ops
