import numpy as np
import pytest
from scipy.optimize import linprog, minimize

from kernels.sketching.leverage import leverage_scores
from kernels.sketching.sensitivities import BATCH_NUMBERS, lewis_weights, lp_sensitivities

EXPONENTS = [1.0, 1.5, 2.0, 3.0, 4.0]


def gaussian(rows=60, columns=3, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, columns))


def least_l1_norm(matrix, row):
    """The minimum of ||A x||_1 subject to a_row x = 1, as a linear program."""
    rows, columns = matrix.shape
    identity = np.eye(rows)
    solved = linprog(
        np.r_[np.zeros(columns), np.ones(rows)],
        A_ub=np.block([[matrix, -identity], [-matrix, -identity]]),
        b_ub=np.zeros(2 * rows),
        A_eq=np.r_[matrix[row], np.zeros(rows)][None],
        b_eq=[1.0],
        bounds=[(None, None)] * columns + [(0, None)] * rows,
    )
    return solved.fun


@pytest.mark.parametrize("heavy", [1.0, 50.0])
def test_l1_sensitivities_are_those_of_the_linear_program_from_below(heavy):
    matrix = gaussian()
    matrix[0] *= heavy
    computed = lp_sensitivities(matrix, 1.0)
    for row in (0, 1, 7, 30):
        exact = 1.0 / least_l1_norm(matrix, row)
        assert 0.99 * exact <= computed[row] <= exact * (1 + 1e-9)


@pytest.mark.parametrize("p", [1.5, 3.0, 4.0])
def test_sensitivities_are_those_of_a_general_optimiser(p):
    matrix = gaussian()
    computed = lp_sensitivities(matrix, p, tolerance=1e-7)
    for row in (0, 1, 7):

        def inverse_share(x, target=matrix[row]):
            return (np.abs(matrix @ x) ** p).sum() / abs(target @ x) ** p

        found = minimize(inverse_share, matrix[row], method="BFGS", options={"gtol": 1e-9})
        assert computed[row] == pytest.approx(1.0 / found.fun, rel=1e-4)


@pytest.mark.parametrize("p", EXPONENTS)
def test_no_direction_gives_a_row_a_larger_share_than_its_sensitivity(p):
    matrix = gaussian(rows=200, columns=4)
    shares = np.abs(matrix @ np.random.default_rng(1).standard_normal((4, 500))) ** p
    shares /= shares.sum(axis=0)
    assert (shares.max(axis=1) <= lp_sensitivities(matrix, p, tolerance=1e-6) * (1 + 2e-3)).all()


def test_for_p_2_they_are_the_leverage_scores():
    matrix = gaussian()
    np.testing.assert_allclose(lp_sensitivities(matrix, 2.0), leverage_scores(matrix))
    np.testing.assert_allclose(lewis_weights(matrix, 2.0), leverage_scores(matrix), rtol=1e-12)


@pytest.mark.parametrize("p", EXPONENTS)
def test_both_depend_on_the_column_space_alone(p):
    matrix, change = gaussian(), gaussian(3, 3, seed=4)
    np.testing.assert_allclose(lp_sensitivities(matrix @ change, p), lp_sensitivities(matrix, p), rtol=5e-3)
    np.testing.assert_allclose(lewis_weights(matrix @ change, p), lewis_weights(matrix, p), rtol=1e-6)


@pytest.mark.parametrize("p", EXPONENTS)
def test_copies_of_unit_vectors_share_their_coordinate_and_zero_rows_have_nothing(p):
    matrix = np.zeros((7, 2))
    matrix[:4, 0], matrix[4, 1] = 3.0, -2.0
    expected = [0.25] * 4 + [1.0, 0.0, 0.0]
    np.testing.assert_allclose(lp_sensitivities(matrix, p), expected, atol=1e-12)
    np.testing.assert_allclose(lewis_weights(matrix, p), expected, atol=1e-12)


@pytest.mark.parametrize("p", [1.0, 1.5, 3.0, 4.0, 6.0])
def test_lewis_weights_are_the_leverage_scores_of_the_rows_that_they_scale(p):
    matrix = np.random.default_rng(5).standard_cauchy((80, 4))
    weights = lewis_weights(matrix, p)
    np.testing.assert_allclose(leverage_scores(weights[:, None] ** (0.5 - 1.0 / p) * matrix), weights, rtol=1e-5)
    assert weights.sum() == pytest.approx(4.0, rel=1e-6)


@pytest.mark.parametrize("p", [1.0, 1.5])
def test_below_two_total_sensitivity_is_at_most_the_dimension(p):
    matrix = np.random.default_rng(6).standard_cauchy((80, 4))
    assert lp_sensitivities(matrix, p).sum() <= 4.0 * (1 + 1e-9)


def test_rows_beyond_a_batch_are_treated_alike():
    rows = 1600
    assert rows * rows > BATCH_NUMBERS
    matrix = gaussian(rows, 2)
    turned = np.roll(matrix, 700, axis=0)
    np.testing.assert_allclose(np.roll(lp_sensitivities(turned, 1.5), -700), lp_sensitivities(matrix, 1.5), rtol=1e-6)


@pytest.mark.parametrize("method", [lp_sensitivities, lewis_weights])
@pytest.mark.parametrize("p", [0.5, -1.0, np.nan, np.inf])
def test_what_is_no_exponent_of_a_norm_is_refused(method, p):
    with pytest.raises(ValueError, match="p must be finite and at least 1"):
        method(gaussian(), p)


@pytest.mark.parametrize("method", [lp_sensitivities, lewis_weights])
@pytest.mark.parametrize("matrix", [np.ones((5, 2)), np.ones((2, 3)), np.ones(4)])
def test_what_has_no_full_column_rank_is_refused(method, matrix):
    with pytest.raises(ValueError, match="matrix must have"):
        method(matrix, 1.0)
