// Prints the matrices that the transforms of cpp/kernels/winograd_points.h stand for, found by
// transforming unit vectors: a line a column, "name outputs column entries...".
#include <cstdio>

#include "kernels/winograd_points.h"

using namespace convkit::CONVKIT_ISA;

namespace {

template <int Rows, int Columns, class F>
void print_columns(const char* name, int outputs, const F& transform) {
  for (int column = 0; column < Columns; ++column) {
    F32 from[Columns], to[Rows];
    for (int i = 0; i < Columns; ++i) from[i] = set1(i == column ? 1.0f : 0.0f);
    transform(from, to);
    std::printf("%s %d %d", name, outputs, column);
    for (int i = 0; i < Rows; ++i) {
      float lanes[kLanes];
      store(lanes, to[i]);
      std::printf(" %a", static_cast<double>(lanes[0]));
    }
    std::printf("\n");
  }
}

template <int M>
void print_tile() {
  constexpr int kPoints = M + 2;
  print_columns<kPoints, kPoints>("input", M, transform_input<M>);
  print_columns<kPoints, kPoints>("input_gradient", M, transform_input_gradient<M>);
  print_columns<M, kPoints>("output", M, transform_output<M>);
  print_columns<kPoints, M>("output_gradient", M, transform_gradient<M>);
}

}  // namespace

int main() {
  print_tile<2>();
  print_tile<3>();
  print_tile<4>();
  print_tile<5>();
  print_columns<6, 3>("weights", 4, transform_weights<6>);
  print_columns<3, 6>("weight_gradient", 4, transform_weight_gradient<6>);
  print_columns<7, 3>("weights", 5, transform_weights<7>);
  print_columns<3, 7>("weight_gradient", 5, transform_weight_gradient<7>);
}
