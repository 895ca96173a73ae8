from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.low_rank.alternating_minimization import exact_als, robust_altmin_completion, warm_cg_als
from kernels.low_rank.nuclear_norm import singular_value_thresholding, soft_impute, thresholded
from kernels.low_rank.scaled_gradient import scaled_gradient_descent
from kernels.low_rank.spectral_start import clipped, leading_left_vectors
from kernels.result import Status

ALTERNATING = [robust_altmin_completion, exact_als, warm_cg_als]
METHODS = [*ALTERNATING, scaled_gradient_descent, soft_impute, singular_value_thresholding]


@dataclass(frozen=True)
class Partial:
    rows: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    shape: tuple[int, int]
    rank: int


def random_matrix(height=60, width=50, rank=3, seed=0):
    random = np.random.default_rng(seed)
    return random.standard_normal((height, rank)) @ random.standard_normal((rank, width))


def part_of(matrix, rank=3, share=0.6, seed=1):
    rows, columns = np.nonzero(np.random.default_rng(seed).random(matrix.shape) < share)
    return Partial(rows, columns, matrix[rows, columns], matrix.shape, rank)


def complete(method, partial, seed=2, **options):
    return method(partial, random=np.random.default_rng(seed), **options)


def error(result, matrix):
    return np.linalg.norm(result.value - matrix) / np.linalg.norm(matrix)


@pytest.mark.parametrize("method", [*ALTERNATING, scaled_gradient_descent])
@settings(max_examples=5, derandomize=True)
@given(rank=st.integers(1, 4), seed=st.integers(0, 1000))
def test_an_incoherent_matrix_is_recovered(method, rank, seed):
    matrix = random_matrix(70, 60, rank, seed)
    result = complete(method, part_of(matrix, rank, 0.7, seed))
    assert result.status is Status.CONVERGED
    assert result.history[-1] <= 1e-8
    assert error(result, matrix) <= 1e-6


@pytest.mark.parametrize(("method", "reached"), [(soft_impute, 0.02), (singular_value_thresholding, 1e-3)])
def test_the_nuclear_norm_recovers_up_to_its_bias(method, reached):
    matrix = random_matrix()
    assert error(complete(method, part_of(matrix, share=0.7)), matrix) <= reached


@pytest.mark.parametrize("method", METHODS)
def test_the_history_is_the_residual_on_the_observed_entries(method):
    matrix = random_matrix()
    partial = part_of(matrix)
    result = complete(method, partial)
    residual = result.value[partial.rows, partial.columns] - partial.values
    relative = np.linalg.norm(residual) / np.linalg.norm(partial.values)
    assert result.history[0] == 1.0
    assert result.history[-1] == pytest.approx(relative, rel=1e-3, abs=1e-12)
    assert result.work["sweeps"] >= result.history.size - 1


@pytest.mark.parametrize("method", METHODS)
def test_the_same_stream_gives_the_same_bytes(method):
    partial = part_of(random_matrix())
    assert complete(method, partial).value.tobytes() == complete(method, partial).value.tobytes()


def test_accurate_inner_solves_follow_exact_least_squares_under_noise():
    matrix = random_matrix()
    partial = part_of(matrix)
    noisy = replace(
        partial, values=partial.values + 0.01 * np.random.default_rng(5).standard_normal(partial.values.size)
    )
    exact = complete(exact_als, noisy)
    approximate = complete(robust_altmin_completion, noisy, inner_tolerance=1e-8)
    np.testing.assert_allclose(approximate.history, exact.history, rtol=1e-5)
    np.testing.assert_allclose(approximate.value, exact.value, atol=1e-4)


def test_the_residual_of_exact_least_squares_never_grows():
    history = complete(exact_als, part_of(random_matrix(), share=0.3), max_sweeps=30).history
    assert (np.diff(history) <= 1e-12).all()


def test_a_crude_inner_solve_from_zero_ends_at_a_floor_and_one_from_the_sketch_does_not():
    partial = part_of(random_matrix(200, 200), share=0.7)
    crude = {"inner_tolerance": 0.1, "max_sweeps": 60}
    assert complete(robust_altmin_completion, partial, start="zero", **crude).history[-1] > 1e-3
    assert complete(robust_altmin_completion, partial, **crude).history[-1] <= 1e-8


def test_the_completion_has_the_rank_asked_for():
    result = complete(robust_altmin_completion, part_of(random_matrix(), rank=2))
    assert np.linalg.matrix_rank(result.value, tol=1e-8) == 2


def test_fresh_samples_are_read_once_each():
    matrix = random_matrix(250, 250)
    result = complete(robust_altmin_completion, part_of(matrix, share=0.9), fresh_samples=True, max_sweeps=3)
    assert result.work["sweeps"] == 3
    assert error(result, matrix) < 0.1


def test_too_few_entries_do_not_recover():
    matrix = random_matrix()
    assert error(complete(robust_altmin_completion, part_of(matrix, share=0.1), max_sweeps=20), matrix) > 0.1


def test_svt_survives_a_step_beyond_its_theory():
    partial = part_of(random_matrix(), share=0.12)
    result = complete(singular_value_thresholding, partial, step=3.0, max_iterations=100)
    assert np.isfinite(result.value).all()
    assert result.history.max() > 2.0
    assert result.history[-1] < 1.0


def test_thresholding_agrees_with_the_full_decomposition():
    matrix = random_matrix(40, 30, 30)
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    threshold = values[7] + 1e-3
    expected = (left * np.maximum(values - threshold, 0.0)) @ right
    random = np.random.default_rng(0)
    basis = right[:12].T + 1e-6 * random.standard_normal((30, 12))
    np.testing.assert_allclose(thresholded(matrix, threshold, basis, random)[0], expected, atol=1e-5)


@pytest.mark.parametrize("width", [1, 40])
def test_thresholding_widens_a_basis_that_is_too_narrow_and_cuts_one_that_is_too_wide(width):
    matrix = np.diag(np.arange(1.0, 21.0))
    random = np.random.default_rng(0)
    shrunk, _ = thresholded(matrix, 0.5, random.standard_normal((20, width)), random)
    np.testing.assert_allclose(shrunk, matrix - 0.5 * np.eye(20), atol=1e-10)


def test_thresholding_keeps_no_more_values_than_its_limit():
    random = np.random.default_rng(0)
    matrix = np.diag(10.0 ** -np.arange(20.0))
    shrunk, basis = thresholded(matrix, 0.0, random.standard_normal((20, 4)), random, 3)
    np.testing.assert_allclose(shrunk, np.diag([1.0, 0.1, 0.01] + 17 * [0.0]), atol=1e-8)
    assert basis.shape == (20, 8)


def test_the_leading_vectors_are_those_of_the_full_decomposition():
    import scipy.sparse as sp

    matrix = random_matrix(80, 60, 4)
    basis = leading_left_vectors(sp.csr_array(matrix), 4, np.random.default_rng(0))
    left = np.linalg.svd(matrix)[0][:, :4]
    np.testing.assert_allclose(basis @ basis.T, left @ left.T, atol=1e-10)


def test_clipping_removes_spikes_and_leaves_an_orthonormal_basis():
    factor = np.linalg.qr(np.random.default_rng(0).standard_normal((100, 2)))[0]
    factor[7] = [0.9, 0.0]
    basis = clipped(factor, 2.0)
    np.testing.assert_allclose(basis.T @ basis, np.eye(2), atol=1e-12)
    assert abs(basis[7, 0]) < 1e-12


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_give_a_result_that_says_so(method, bad):
    partial = part_of(random_matrix())
    partial.values[3] = bad
    assert complete(method, partial).status is Status.NOT_FINITE


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rank": 0}, "rank must be between 1 and 50, not 0"),
        ({"rank": 51}, "rank must be between 1 and 50, not 51"),
        ({"values": np.empty(0)}, "values must have shape"),
        ({"values": np.ones(4, np.float32)}, "values must be float64"),
        ({"rows": np.array([0, 1, 2])}, "rows must be 4 integers"),
        ({"columns": np.array([0.0, 1.0, 2.0, 3.0])}, "columns must be 4 integers"),
        ({"rows": np.array([0, 1, 2, 60])}, r"rows must lie in 0..59, not 0..60"),
        ({"columns": np.array([-1, 1, 2, 3])}, r"columns must lie in 0..49, not -1..3"),
        ({"rows": np.zeros(4, int), "columns": np.zeros(4, int)}, "entries must be given once"),
    ],
)
def test_a_matrix_that_cannot_be_completed_is_refused(method, changes, words):
    index = np.arange(4)
    with pytest.raises(ValueError, match=words):
        complete(method, replace(Partial(index, index, np.ones(4), (60, 50), 2), **changes))


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        (robust_altmin_completion, {"inner_tolerance": 0.0}, "tolerance must be positive"),
        (robust_altmin_completion, {"sketch_factor": -1}, "sketch_factor"),
        (robust_altmin_completion, {"max_inner_steps": 0}, "max_inner_steps"),
        (robust_altmin_completion, {"start": "cold"}, "start must be"),
        (robust_altmin_completion, {"sketch_factor": 0}, "start must be 'sketch' .with a sketch."),
        (exact_als, {"tolerance": np.nan}, "tolerance must be positive"),
        (exact_als, {"stall_tolerance": -1.0}, "tolerance must be positive"),
        (exact_als, {"max_sweeps": 0}, "max_sweeps"),
        (exact_als, {"incoherence": 0.0}, "must be positive"),
        (warm_cg_als, {"steps": 0}, "max_inner_steps"),
        (scaled_gradient_descent, {"step": 0.0}, "must be positive"),
        (soft_impute, {"penalties": 0}, "penalties"),
        (soft_impute, {"least_penalty": 1.0}, "least_penalty must lie between 0 and 1, not 1.0"),
        (soft_impute, {"held_out": 0.0}, "held_out must lie between 0 and 1"),
        (soft_impute, {"rank_limit": 0}, "rank_limit"),
        (soft_impute, {"max_iterations": 0}, "max_iterations"),
        (singular_value_thresholding, {"step": 0.0}, "must be positive"),
        (singular_value_thresholding, {"tolerance": -1.0}, "tolerance must be positive"),
    ],
)
def test_an_option_out_of_range_is_refused(method, options, words):
    with pytest.raises(ValueError, match=words):
        complete(method, part_of(random_matrix()), **options)
