#include "../ops/transform_images.h"

#include <cmath>
#include <limits>

#include "../ops/extent.h"
#include "array.h"
#include "calls.h"

namespace convkit::bindings {

// Those of a list, kept with their arrays whatever becomes of it meanwhile.
struct Steps : py::tuple {
  using py::tuple::tuple;
};

template <>
Steps Argument<Steps>::read(PyObject* const& given) {
  if (!PyList_Check(given)) throw Mismatch(given);
  return Steps(py::reinterpret_borrow<py::list>(given));
}
template <>
std::string Argument<Steps>::type() {
  return "list[tuple[object, ...]]";
}

namespace {

using ops::ImageStep;
using Kind = ImageStep::Kind;
using Integers = ArrayOf<std::int32_t>;

constexpr std::int64_t kLargestSide = 1 << 21;  // a float has the place of every half pixel

template <class T>
T value_of(const py::tuple& given, std::size_t place,
           const char* message = "a step must be a tuple of its name and what belongs to it") {
  if (place >= given.size()) throw py::type_error(message);
  PyObject* const value = PyTuple_GET_ITEM(given.ptr(), place);
  try {
    return Argument<T>::read(value);
  } catch (const Mismatch&) {
    throw py::type_error(message);
  }
}

// Reads steps as tuples: a name, then what the functions below take. The tuples hold the arrays.
class Reader {
 public:
  Reader(std::int64_t n, const Sizes& image) : n_(n), h_(image[0]), w_(image[1]), c_(image[2]) {
    check_sides(h_, w_);
  }

  void read(const py::handle& step_given) {
    if (!py::isinstance<py::tuple>(step_given)) throw py::type_error("a step must be a tuple");
    const auto given = py::reinterpret_borrow<py::tuple>(step_given);
    const auto name = value_of<std::string>(given, 0);
    ImageStep step{};
    step.h = h_, step.w = w_, step.c = c_;
    step.low = -std::numeric_limits<float>::infinity();
    step.high = std::numeric_limits<float>::infinity();
    if (name == "affine") {
      affine(given, step);
    } else if (name == "resample") {
      resample(given, step);
    } else if (name == "scale") {
      scale(given, step);
    } else if (name == "adjust") {
      adjust(given, step);
    } else if (name == "erase") {
      erase(given, step);
    } else if (name == "gray") {
      gray(given, step);
    } else if (name == "colors") {
      colors(given, step);
    } else {
      throw std::invalid_argument("there is no step '" + name + "' of images");
    }
    steps_.push_back(step);
  }

  const std::vector<ImageStep>& steps() const { return steps_; }
  Sizes out_shape() const { return {n_, h_, w_, c_}; }

 private:
  template <class T>
  static T array_of(const py::tuple& given, std::size_t place) {
    return value_of<T>(given, place, "a step's arrays must be of its types, in C order");
  }

  Floats floats(const py::tuple& given, std::size_t place, const char* name, const Sizes& shape) {
    auto array = array_of<Floats>(given, place);
    check_shape(name, array, shape);
    return array;
  }

  static void check_sides(std::int64_t h, std::int64_t w) {
    for (const std::int64_t side : {h, w}) {
      if (side >= 1 && side <= kLargestSide) continue;
      throw std::invalid_argument("the sides of an image must be 1 .. 2097152 pixels, but one is " +
                                  std::to_string(side));
    }
  }

  // (matrices (n, 6), height, width, fill mode, fill (c,), bilinear)
  void affine(const py::tuple& given, ImageStep& step) {
    step.kind = Kind::kAffine;
    const Floats matrices = floats(given, 1, "transforms", {n_, 6});
    step.matrices = matrices.data();
    for (std::int64_t i = 0; i < matrices.size(); ++i) {
      if (std::isfinite(step.matrices[i])) continue;
      throw std::invalid_argument("the transforms must be finite numbers");
    }
    const auto oh = value_of<std::int64_t>(given, 2), ow = value_of<std::int64_t>(given, 3);
    check_sides(oh, ow);
    check_size("the transformed image", ops::product(oh, ow, c_));
    const auto mode = value_of<int>(given, 4);
    if (mode < 0 || mode > static_cast<int>(FillMode::kWrap))
      throw std::invalid_argument("there is no such fill mode");
    const Floats fill = floats(given, 5, "fill_value", {c_});
    step.affine = {
        h_, w_, c_, oh, ow, static_cast<FillMode>(mode), fill.data(), value_of<bool>(given, 6)};
    h_ = oh, w_ = ow;
  }

  ResampledAxis axis(const py::tuple& given, std::size_t place, std::int64_t size) {
    const auto indices = array_of<Integers>(given, place);
    check_rank("indices", indices, 2);
    check_not_empty("indices", indices);
    const Floats weights = floats(given, place + 1, "weights", shape_of(indices));
    const std::int32_t* at = indices.data();
    const std::int64_t count = indices.size();
    for (std::int64_t i = 0; i < count; ++i) {
      if (at[i] >= 0 && at[i] < size) continue;
      throw std::invalid_argument("an index of a resampling is outside the image");
    }
    return {size, indices.shape(0), indices.shape(1), at, weights.data()};
  }

  // (indices (oh, taps), weights, indices (ow, taps), weights)
  void resample(const py::tuple& given, ImageStep& step) {
    step.kind = Kind::kResample;
    step.rows = axis(given, 1, h_);
    step.columns = axis(given, 3, w_);
    h_ = step.rows.out, w_ = step.columns.out;
    check_sides(h_, w_);
    check_size("the resampled image", ops::product(h_, w_, c_));
  }

  // (mean, scale, offset), each (c,) or (h w c,)
  void scale(const py::tuple& given, ImageStep& step) {
    step.kind = Kind::kScale;
    const auto mean = array_of<Floats>(given, 1);
    check_rank("mean", mean, 1);
    step.count = mean.size();
    if (step.count != c_ && step.count != h_ * w_ * c_)
      throw std::invalid_argument("scales must be one a channel, or one a position");
    step.mean = mean.data();
    step.scale = floats(given, 2, "scale", {step.count}).data();
    step.offset = floats(given, 3, "offset", {step.count}).data();
  }

  static void bounds(const py::tuple& given, std::size_t place, ImageStep& step) {
    step.low = static_cast<float>(value_of<double>(given, place));
    step.high = static_cast<float>(value_of<double>(given, place + 1));
  }

  // (scale (n, c), offset (n, c), low, high, around the mean)
  void adjust(const py::tuple& given, ImageStep& step) {
    step.kind = Kind::kAdjust;
    step.scale = floats(given, 1, "scale", {n_, c_}).data();
    step.offset = floats(given, 2, "offset", {n_, c_}).data();
    bounds(given, 3, step);
    step.around_mean = value_of<bool>(given, 5);
  }

  // (boxes (n, 4), fill (c,) or None, deviation, seed, offset, low, high)
  void erase(const py::tuple& given, ImageStep& step) {
    step.kind = Kind::kErase;
    const auto boxes = array_of<Labels>(given, 1);
    check_shape("boxes", boxes, {n_, 4});
    step.boxes = boxes.data();
    for (std::int64_t i = 0; i < n_; ++i) {
      const std::int64_t* box = step.boxes + 4 * i;
      const bool fits = 0 <= box[0] && box[0] <= box[1] && box[1] <= h_ && 0 <= box[2] &&
                        box[2] <= box[3] && box[3] <= w_;
      if (!fits) throw std::invalid_argument("a box is outside its image");
    }
    if (given.size() < 3 || !given[2].is_none())
      step.fill = floats(given, 2, "fill_value", {c_}).data();
    step.deviation = static_cast<float>(value_of<double>(given, 3));
    step.seed = value_of<std::uint64_t>(given, 4);
    step.offset_of_noise = value_of<std::uint64_t>(given, 5);
    bounds(given, 6, step);
  }

  void check_colors() const {
    if (c_ == 3) return;
    throw std::invalid_argument("images must have 3 channels, red, green and blue, but have " +
                                std::to_string(c_));
  }

  // (chosen (n,))
  void gray(const py::tuple& given, ImageStep& step) {
    step.kind = Kind::kGray;
    check_colors();
    const auto chosen = array_of<Indices>(given, 1);
    check_shape("chosen", chosen, {n_});
    step.chosen = chosen.data();
  }

  // (turns (n,), saturations (n,), least, most, low, high, clips)
  void colors(const py::tuple& given, ImageStep& step) {
    step.kind = Kind::kColors;
    check_colors();
    step.turns = floats(given, 1, "turns", {n_}).data();
    step.saturations = floats(given, 2, "saturations", {n_}).data();
    const auto number = [&](std::size_t place) {
      return static_cast<float>(value_of<double>(given, place));
    };
    step.change = {.turn = 0.0f,  // those of each image come later
                   .saturation = 1.0f,
                   .least = number(3),
                   .most = number(4),
                   .low = number(5),
                   .high = number(6),
                   .clips = value_of<bool>(given, 7)};
    if (!(step.change.low < step.change.high))
      throw std::invalid_argument("the lowest value of images must be below the highest");
  }

  std::int64_t n_, h_, w_, c_;
  std::vector<ImageStep> steps_;
};

void check_source(const Array& source, std::int64_t rank, const char* message) {
  if (source.ndim() != rank || !source.is_contiguous()) throw py::type_error(message);
  check_not_empty("source", source);
  if (!source.holds<std::uint8_t>() && !source.holds<float>())
    throw py::type_error("source must be uint8 or float32, but is " + source.dtype());
}

void transform_images(const Array& source, const std::optional<Labels>& indices, const Steps& steps,
                      Floats out) {
  check_source(source, 4, "source must be images (N, H, W, C), contiguous in C order");
  const bool bytes = source.holds<std::uint8_t>();
  const Sizes from = shape_of(source);
  if (indices) check_rank("indices", *indices, 1);
  const std::int64_t n = indices ? indices->size() : from[0];
  const std::int64_t* at = indices ? indices->data() : nullptr;
  for (std::int64_t i = 0; at && i < n; ++i) {
    if (at[i] >= 0 && at[i] < from[0]) continue;
    throw std::invalid_argument("index " + std::to_string(at[i]) + " is not in [0, " +
                                std::to_string(from[0]) + "), the images of source");
  }
  Reader reader(n, {from[1], from[2], from[3]});
  for (const py::handle& step : steps) reader.read(step);
  const Sizes expected = reader.out_shape();
  check_shape("out", out, expected);
  float* to = out_data(out);
  const void* data = source.memory();
  const std::vector<ImageStep>& read = reader.steps();
  Calls::refuse();  // the arrays of steps are an image's own numbers, and others the next time
  without_gil([&] {
    ops::transform_images(n, from[1], from[2], from[3], data, bytes, at, read,
                          expected[1] * expected[2] * expected[3], to);
  });
}

// Images of different sizes, each a tuple of its pixels (H, W, C) and its steps, become the rows of
// `out`: in one call, for a thread that gives the GIL back for the time of one small image has it
// again before another thread has woken up.
void transform_each(const Steps& images, Floats out) {
  struct Image {
    Sizes shape;
    const void* pixels;
    bool bytes;
    std::vector<ImageStep> steps;
  };
  std::vector<Image> read;
  check_rank("out", out, 4);
  const auto n = static_cast<std::int64_t>(images.size());
  check_shape("out", out, {n, out.shape(1), out.shape(2), out.shape(3)});
  for (const py::handle& each : images) {
    if (!py::isinstance<py::tuple>(each)) throw py::type_error("an image must be a tuple");
    const auto given = py::reinterpret_borrow<py::tuple>(each);
    const auto pixels = value_of<Array>(given, 0, "a tuple must begin with an image's pixels");
    check_source(pixels, 3, "pixels must be (H, W, C), contiguous in C order");
    Reader reader(1, shape_of(pixels));
    for (std::size_t i = 1; i < given.size(); ++i) reader.read(given[i]);
    Sizes expected = reader.out_shape();
    expected[0] = n;
    check_shape("out", out, expected);
    read.push_back(
        {shape_of(pixels), pixels.memory(), pixels.holds<std::uint8_t>(), reader.steps()});
  }
  float* to = out_data(out);
  const std::int64_t size = out.shape(1) * out.shape(2) * out.shape(3);
  Calls::refuse();
  without_gil([&] {
    for (const Image& image : read) {
      ops::transform_images(1, image.shape[0], image.shape[1], image.shape[2], image.pixels,
                            image.bytes, nullptr, image.steps, size, to);
      to += size;
    }
  });
}

void uniform(const Number<std::uint64_t>& seed, const Number<std::uint64_t>& step,
             std::uint64_t offset, Floats out) {
  check_shape("seed", seed, {1});
  check_shape("step", step, {1});
  if (out.ndim() < 1) throw std::invalid_argument("out must be an array, but is a number");
  check_not_empty("out", out);
  const std::int64_t n = out.size();
  const std::uint64_t *pseed = seed.data(), *pstep = step.data();
  float* y = out_data(out);
  run([=] { ops::uniform(y, n, *pseed, offset + *pstep); }, seed, step, out);
}

}  // namespace

void bind_transform_images(py::handle m) {
  define(m, "transform_images(source, indices, steps, out)", transform_images);
  define(m, "transform_each(images, out)", transform_each);
  define(m, "uniform(seed, step, offset, out)", uniform);
}

}  // namespace convkit::bindings
