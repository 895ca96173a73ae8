import numpy as np
import pytest
import scipy.sparse as sp
from grid_systems import poisson, tridiagonal
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import spsolve

from kernels.linear_systems.fast_poisson import fast_poisson


def five_point_matrix(rows, columns, spacing, boundary):
    def line(size):
        matrix = tridiagonal(size).toarray()
        if boundary == "cell":
            matrix[0, 0] += 1.0
            matrix[-1, -1] += 1.0
        return matrix

    return (sp.kron(line(rows), np.eye(columns)) + sp.kron(np.eye(rows), line(columns))) / spacing**2


@pytest.mark.parametrize("boundary", ["vertex", "cell"])
@settings(max_examples=20, derandomize=True, deadline=None)
@given(rows=st.integers(1, 12), columns=st.integers(1, 12), spacing=st.floats(0.01, 10.0), seed=st.integers(0, 1000))
def test_it_solves_the_five_point_equations(boundary, rows, columns, spacing, seed):
    rhs = np.random.default_rng(seed).standard_normal((rows, columns))
    matrix = five_point_matrix(rows, columns, spacing, boundary).toarray()
    expected = np.linalg.solve(matrix, rhs.ravel()).reshape(rows, columns)
    solution = fast_poisson(rhs, spacing, boundary)
    np.testing.assert_allclose(solution, expected, rtol=1e-9, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("side", [63, 64], ids=["transforms", "matrices"])
def test_it_agrees_with_the_sparse_solver_on_a_larger_grid(side):
    rhs = np.random.default_rng(0).standard_normal((side, side))
    expected = spsolve(poisson(side).tocsc(), rhs.ravel()).reshape(side, side)
    np.testing.assert_allclose(fast_poisson(rhs, 1.0), expected, atol=1e-10)


@pytest.mark.parametrize("boundary", ["vertex", "cell"])
def test_the_error_against_a_smooth_solution_is_of_second_order(boundary):
    errors = []
    for size in (15, 31) if boundary == "vertex" else (16, 32):
        spacing = 1 / (size + 1) if boundary == "vertex" else 1 / size
        x = spacing * (np.arange(size) + (1.0 if boundary == "vertex" else 0.5))
        exact = np.sin(np.pi * x)[:, None] * np.sin(2 * np.pi * x)
        errors.append(np.abs(fast_poisson(5 * np.pi**2 * exact, spacing, boundary) - exact).max())
    assert 3.7 < errors[0] / errors[1] < 4.3


def test_the_right_hand_side_is_left_as_it_was():
    rhs = np.ones((5, 5))
    fast_poisson(rhs, 0.1)
    np.testing.assert_array_equal(rhs, 1.0)


def test_nan_gives_nan():
    assert np.isnan(fast_poisson(np.full((3, 3), np.nan), 1.0)).all()


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((np.ones(4), 1.0), "rhs_grid"),
        ((np.ones((2, 2), dtype=int), 1.0), "rhs_grid"),
        ((np.ones((0, 2)), 1.0), "rhs_grid"),
        ((np.ones((2, 2)), 0.0), "spacing"),
        ((np.ones((2, 2)), np.nan), "spacing"),
        ((np.ones((2, 2)), 1.0, "periodic"), "boundary"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, name):
    with pytest.raises(ValueError, match=f"{name} must be"):
        fast_poisson(*arguments)
