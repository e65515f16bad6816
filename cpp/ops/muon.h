// Muon: updates of matrices, made orthogonal.
#pragma once

#include <cstdint>

namespace convkit::ops {

// What an update by Muon takes besides its arrays.
struct MuonNumbers {
  double momentum;
  double a, b, c;       // of the polynomial a X + b X X^T X + c X (X^T X)^2
  double scale;         // of the orthogonal matrix
  std::int64_t rounds;  // of Newton and Schulz's iteration
  bool nesterov;
};

// w, g and m are (rows, columns).
void muon_update(std::int64_t rows, std::int64_t columns, float* w, const float* g, float* m,
                 double learning_rate, const MuonNumbers& given, double weight_decay);

}  // namespace convkit::ops
