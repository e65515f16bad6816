"""Winograd's matrices, constructed exactly by the Toom-Cook algorithm, and those of the kernels.

A valid correlation of M + 2 inputs d with 3 weights g is the transpose of a product of polynomials:
with the distinct points p of `POINTS`, of which a tile of M takes the first M + 2,

    y = A^T [(G g) * (B^T d)],    A^T[k, p] = p^k,    G[p, k] = p^k / N(p),

where N(p) is the product of p's distances from the other finite points, and row p of B^T holds the
coefficients of the product of x - q over them. At infinity, A^T and G have a one at the highest
power alone, and B^T the coefficients of the product over all finite points. (Toom 1963, Cook 1966;
Winograd, "Arithmetic complexity of computations", 1980; Blahut, "Fast algorithms for signal
processing", 2010, chapter 5.) Row p of G may be divided by any factor that row p of B^T is
multiplied by: all tiles take the factors of a tile of 4 and so share one G; only 3 has its own.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

H = Fraction(5, 8)
# In the order of the kernels; None is infinity.
POINTS = (Fraction(0), H, -H, None, 2 * H, -2 * H, Fraction(3))
TILES = (2, 3, 4, 5)

Matrix = list[list[Fraction]]


def polynomial(roots: Sequence[Fraction]) -> list[Fraction]:
    """The coefficients of the product of x - root, from the constant on."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *coefficients]
        coefficients = [
            high - root * low for high, low in zip(shifted, [*coefficients, 0], strict=True)
        ]
    return coefficients


def powers(point: Fraction | None, count: int) -> list[Fraction]:
    """The point's row of a Vandermonde matrix."""
    if point is None:
        return [Fraction(k == count - 1) for k in range(count)]
    return [point**k for k in range(count)]


def finite(outputs: int) -> list[Fraction]:
    """The finite points of a tile."""
    return [point for point in POINTS[: outputs + 2] if point is not None]


def distances(point: Fraction | None, others: Sequence[Fraction]) -> Fraction:
    """The product of the distances from the other points; 1 for infinity."""
    product = Fraction(1)
    for other in others:
        if point is not None and other != point:
            product *= point - other
    return product


def factor(point: Fraction | None) -> Fraction:
    """What the point's row of G is divided by, in every tile."""
    return distances(point, finite(4))


def output_transform(outputs: int) -> Matrix:
    """A^T, (M, M + 2)."""
    columns = [powers(point, outputs) for point in POINTS[: outputs + 2]]
    return [[column[k] for column in columns] for k in range(outputs)]


def weight_transform(outputs: int) -> Matrix:
    """G, (M + 2, 3)."""
    return [[v / factor(point) for v in powers(point, 3)] for point in POINTS[: outputs + 2]]


def input_transform(outputs: int) -> Matrix:
    """B^T, (M + 2, M + 2)."""
    rows, points = [], finite(outputs)
    for point in POINTS[: outputs + 2]:
        others = [other for other in points if other != point]
        scale = factor(point) / distances(point, points)
        row = [scale * value for value in polynomial(others)]
        rows.append(row + [Fraction(0)] * (outputs + 2 - len(row)))
    return rows


@pytest.mark.parametrize("outputs", TILES)
def test_the_constructed_matrices_compute_a_correlation(outputs: int) -> None:
    """Exactly: y is bilinear in d and g, so unit vectors are enough."""
    a, g, b = output_transform(outputs), weight_transform(outputs), input_transform(outputs)
    for i in range(outputs + 2):
        for j in range(3):
            products = [weights[j] * inputs[i] for weights, inputs in zip(g, b, strict=True)]
            for k in range(outputs):
                found = sum(x * y for x, y in zip(a[k], products, strict=True))
                assert found == (i == k + j), (i, j, k)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[str, int], np.ndarray]:
    """The matrices of the kernels' transforms, by name and outputs."""
    compiler = shutil.which("g++") or shutil.which("clang++") or shutil.which("c++")
    root = Path(__file__).resolve().parents[2]
    if compiler is None or not (root / "cpp" / "kernels").is_dir():
        pytest.skip("needs a C++ compiler and the sources of the kernels")
    program = tmp_path_factory.mktemp("winograd") / "matrices"
    source = root / "tests" / "support" / "winograd_matrices.cpp"
    command = [compiler, "-std=c++17", "-O1", "-ffp-contract=off", "-DCONVKIT_ISA=baseline"]
    subprocess.run([*command, f"-I{root / 'cpp'}", str(source), "-o", str(program)], check=True)
    text = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout
    columns: dict[tuple[str, int], list[list[float]]] = {}
    for line in text.splitlines():
        name, outputs, _, *entries = line.split()
        columns.setdefault((name, int(outputs)), []).append([float.fromhex(v) for v in entries])
    return {key: np.array(value).T for key, value in columns.items()}


def assert_entries(found: np.ndarray, exact: Matrix) -> None:
    """Each entry is the exact one, but for the roundings of the constants that it is made of."""
    expected = np.array([[float(value) for value in row] for row in exact])
    np.testing.assert_allclose(found, expected, rtol=8 * 2.0**-24, atol=0)


@pytest.mark.parametrize("outputs", TILES)
def test_the_kernels_have_the_constructed_matrices(
    outputs: int, compiled: Mapping[tuple[str, int], np.ndarray]
) -> None:
    a, b = output_transform(outputs), input_transform(outputs)
    assert_entries(compiled["input", outputs], b)
    assert_entries(compiled["input_gradient", outputs].T, b)
    assert_entries(compiled["output_gradient", outputs].T, a)
    # Output k is multiplied by h^k afterwards, for both axes at once.
    assert_entries(compiled["output", outputs], [[v / H**k for v in a[k]] for k in range(outputs)])


@pytest.mark.parametrize("outputs", [4, 5])
def test_the_kernels_share_the_constructed_weight_transform(
    outputs: int, compiled: Mapping[tuple[str, int], np.ndarray]
) -> None:
    g = weight_transform(outputs)
    assert_entries(compiled["weights", outputs], g)
    assert_entries(compiled["weight_gradient", outputs].T, g)
    assert weight_transform(3) == g[:5]
