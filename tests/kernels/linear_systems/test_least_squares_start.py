import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import spsolve
from systems import convection, csr, laplacian, relative_residual, rhs_of, rough_diffusion

from kernels.linear_systems.cg import cg
from kernels.linear_systems.least_squares_start import least_squares_start


def random_block(size, count, seed=0):
    return np.random.default_rng(seed).standard_normal((size, count))


def smallest_residual(matrix, rhs, solutions):
    coefficients = np.linalg.lstsq(matrix @ solutions, rhs, rcond=None)[0]
    return relative_residual(matrix, rhs, solutions @ coefficients)


def family_member(weight, size=12):
    """A system of a family of one parameter, and its solution."""
    matrix = csr((1.0 - weight) * rough_diffusion(size, 1) + weight * rough_diffusion(size, 2))
    rhs = np.ones(size**2)
    return matrix, rhs, spsolve(matrix.tocsc(), rhs)


@pytest.mark.parametrize("matrix", [rough_diffusion(10, 0), convection(10)], ids=["symmetric", "nonsymmetric"])
@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_the_combination_is_that_of_least_squares(matrix, count):
    rhs, solutions = rhs_of(matrix), random_block(100, count)
    coefficients = np.linalg.lstsq(matrix @ solutions, rhs, rcond=None)[0]
    np.testing.assert_allclose(least_squares_start(matrix, rhs, solutions), solutions @ coefficients, atol=1e-10)


@given(seed=st.integers(0, 10**6), count=st.integers(1, 12))
@settings(max_examples=15, deadline=None, derandomize=True)
def test_the_residual_is_orthogonal_to_the_images_and_no_larger_than_that_of_zero(seed, count):
    matrix, solutions = rough_diffusion(6, seed), random_block(36, count, seed)
    rhs = rhs_of(matrix, seed)
    residual = rhs - matrix @ least_squares_start(matrix, rhs, solutions)
    images = matrix @ solutions
    assert np.abs(images.T @ residual).max() <= 1e-10 * np.linalg.norm(images, axis=0).max() * np.linalg.norm(rhs)
    assert np.linalg.norm(residual) <= np.linalg.norm(rhs) * (1 + 1e-12)


def test_it_beats_every_single_solution_of_the_family():
    matrix, rhs, _ = family_member(0.5)
    others = np.stack([family_member(weight)[2] for weight in (0.1, 0.3, 0.7, 0.9)], axis=1)
    residual = relative_residual(matrix, rhs, least_squares_start(matrix, rhs, others))
    single = [relative_residual(matrix, rhs, other) for other in others.T]
    assert residual < 0.2 * min(single)


def test_more_solutions_never_leave_a_larger_residual():
    matrix, rhs, _ = family_member(0.45)
    others = np.stack([family_member(weight)[2] for weight in np.linspace(0.0, 1.0, 8)], axis=1)
    residuals = [
        relative_residual(matrix, rhs, least_squares_start(matrix, rhs, others[:, :count])) for count in range(9)
    ]
    assert residuals[0] == 1.0
    assert (np.diff(residuals) <= 1e-12).all()
    assert residuals[-1] < 1e-3


def test_under_a_constant_matrix_as_many_solutions_as_sources_hold_all_others():
    matrix = laplacian(12)
    sources = random_block(144, 6)
    solutions = spsolve(matrix.tocsc(), sources)
    rhs = sources @ np.arange(1.0, 7.0)
    start = least_squares_start(matrix, rhs, solutions)
    assert relative_residual(matrix, rhs, start) < 1e-13
    assert cg(matrix, rhs, initial_guess=start).work["iterations"] == 0


def test_the_start_saves_iterations():
    matrix, rhs, _ = family_member(0.5)
    others = np.stack([family_member(weight)[2] for weight in (0.3, 0.4, 0.6, 0.7)], axis=1)
    start = least_squares_start(matrix, rhs, others)
    from_start, from_zero = cg(matrix, rhs, initial_guess=start), cg(matrix, rhs)
    assert from_start.converged
    assert from_start.work["iterations"] < 0.9 * from_zero.work["iterations"]


def test_solutions_that_depend_on_each_other_do_no_harm():
    matrix = rough_diffusion(10, 0)
    rhs, some = rhs_of(matrix), random_block(100, 5)
    repeated = np.concatenate(
        (some, some @ random_block(5, 5, 1), some[:, :1] + 1e-9 * random_block(100, 1, 2)), axis=1
    )
    start = least_squares_start(matrix, rhs, repeated)
    assert np.isfinite(start).all()
    assert relative_residual(matrix, rhs, start) <= smallest_residual(matrix, rhs, some) * (1 + 1e-8)


def test_nearly_dependent_solutions_cost_no_accuracy():
    matrix = rough_diffusion(10, 0)
    base, directions = random_block(100, 1), random_block(100, 4, 1)
    solutions = base + 1e-5 * directions
    rhs = matrix @ (solutions @ np.array([3.0, -1.0, 2.0, -3.5]))
    assert relative_residual(matrix, rhs, least_squares_start(matrix, rhs, solutions)) < 1e-10


def test_the_scale_of_a_solution_does_not_matter():
    matrix = rough_diffusion(10, 0)
    rhs, solutions = rhs_of(matrix), random_block(100, 5)
    scaled = solutions * np.logspace(-100, 100, 5)
    expected = least_squares_start(matrix, rhs, solutions)
    np.testing.assert_allclose(least_squares_start(matrix, rhs, scaled), expected, rtol=1e-8, atol=1e-10)


def test_columns_of_zero_and_a_block_that_is_not_contiguous_are_taken():
    matrix = rough_diffusion(10, 0)
    rhs, window = rhs_of(matrix), np.zeros((100, 8))
    window[:, :3] = random_block(100, 3)
    expected = least_squares_start(matrix, rhs, window[:, :3].copy())
    np.testing.assert_allclose(least_squares_start(matrix, rhs, window[:, :6]), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("rhs", "solutions"),
    [
        (np.ones(36), np.empty((36, 0))),
        (np.ones(36), np.zeros((36, 3))),
        (np.zeros(36), random_block(36, 3)),
        (np.full(36, np.nan), random_block(36, 3)),
        (np.ones(36), np.full((36, 2), np.inf)),
        (np.ones(36), np.full((36, 2), 1e200)),
    ],
    ids=["no solutions", "zero solutions", "zero rhs", "nan rhs", "infinite solutions", "overflow"],
)
def test_where_there_is_nothing_to_combine_it_is_zero(rhs, solutions):
    assert not least_squares_start(laplacian(6), rhs, solutions).any()


def test_nothing_it_is_given_is_changed_and_a_repeated_call_gives_the_same_bytes():
    matrix = rough_diffusion(8, 0)
    rhs, solutions = rhs_of(matrix), random_block(64, 4)
    copies = rhs.copy(), solutions.copy(), matrix.data.copy()
    first, second = (least_squares_start(matrix, rhs, solutions) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    for array, copy in zip((rhs, solutions, matrix.data), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"solutions": np.zeros((5, 2))}, r"solutions .* \(36, k\), not \(5, 2\)"),
        ({"solutions": np.zeros(36)}, "solutions"),
        ({"solutions": [[0.0]] * 36}, "solutions"),
        ({"solutions": np.zeros((36, 2), dtype=np.float32)}, "solutions must be float64, not float32"),
        ({"rhs": np.zeros(5)}, "rhs"),
        ({"matrix": np.eye(36)}, "matrix"),
    ],
)
def test_arguments_that_are_not_allowed_are_refused(changed, words):
    arguments = {"matrix": laplacian(6), "rhs": np.ones(36), "solutions": random_block(36, 2), **changed}
    with pytest.raises(ValueError, match=words):
        least_squares_start(**arguments)
