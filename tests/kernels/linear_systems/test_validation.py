import numpy as np
import pytest
from grid_systems import canonical, poisson

from kernels.linear_systems.direct import sparse_lu
from kernels.linear_systems.validation import is_beyond_rounding


@pytest.fixture
def stretched():
    """A system whose solution is so much larger than its right-hand side that rounding shows."""
    matrix = canonical(poisson(12) - 0.11 * np.eye(144))
    smallest = np.linalg.eigvalsh(matrix.toarray())[0]
    return canonical(matrix - (smallest - 1e-9) * np.eye(144)), np.ones(144)


def test_the_best_solution_there_is_cannot_be_improved(stretched):
    matrix, rhs = stretched
    best = sparse_lu(matrix, rhs, tolerance=1e-15).value
    assert is_beyond_rounding(matrix, rhs, best, 1e-14)


def test_a_tolerance_that_can_be_reached_is_not_beyond_rounding(stretched):
    matrix, rhs = stretched
    best = sparse_lu(matrix, rhs, tolerance=1e-15).value
    assert not is_beyond_rounding(matrix, rhs, best, 1e-5)


def test_a_poor_solution_can_be_improved(stretched):
    matrix, rhs = stretched
    best = sparse_lu(matrix, rhs, tolerance=1e-15).value
    assert not is_beyond_rounding(matrix, rhs, best + np.ones(144), 1e-14)
    assert not is_beyond_rounding(matrix, rhs, np.zeros(144), 1e-14)
