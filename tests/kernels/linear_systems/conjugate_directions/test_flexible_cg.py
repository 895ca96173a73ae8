import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from systems import csr, laplacian, rhs_of, rough_diffusion, same_history, symmetric_gauss_seidel

from kernels.linear_systems.cg import cg
from kernels.linear_systems.conjugate_directions.flexible_cg import flexible_cg
from kernels.linear_systems.types import Preconditioner
from kernels.result import Status

IDENTITY = Preconditioner("identity", np.copy, np.copy)


def rotating(size, seed=0):
    """A positive definite map that is another one at every call."""
    random = np.random.default_rng(seed)

    def solve(residual):
        factor = np.eye(size) + 0.2 * random.standard_normal((size, size)) / np.sqrt(size)
        return factor @ factor.T @ residual

    return Preconditioner("rotating", solve, None)


def arbitrary(size, seed=0):
    random = np.random.default_rng(seed)
    return Preconditioner("arbitrary", lambda residual: random.standard_normal(size), None)


@pytest.mark.parametrize("conjugated", [1, 2, 5])
def test_with_a_fixed_symmetric_preconditioner_it_is_cg(conjugated):
    matrix = rough_diffusion(12, seed=0)
    rhs, preconditioner = rhs_of(matrix), symmetric_gauss_seidel(matrix)
    result = flexible_cg(matrix, rhs, preconditioner=preconditioner, conjugated=conjugated)
    reference = cg(matrix, rhs, preconditioner=preconditioner)
    assert result.converged
    assert result.work == reference.work
    same_history(result.history, reference.history, rtol=1e-5)


def test_with_one_direction_kept_it_is_the_flexible_formula_of_polak_and_ribiere():
    matrix = rough_diffusion(8, seed=1)
    rhs, preconditioner = rhs_of(matrix), rotating(64)
    solution, residual, norms = np.zeros(64), rhs.copy(), [1.0]
    direction, inner, last = np.zeros(64), 1.0, residual
    for _ in range(15):
        proposal = preconditioner.solve(residual)
        factor = proposal @ (residual - last) / inner
        inner, last = proposal @ residual, residual
        direction = proposal + factor * direction
        length = inner / (direction @ (matrix @ direction))
        solution, residual = solution + length * direction, residual - length * (matrix @ direction)
        norms.append(np.linalg.norm(residual) / np.linalg.norm(rhs))
    result = flexible_cg(matrix, rhs, preconditioner=rotating(64), conjugated=1, max_iterations=15)
    assert result.status is Status.ITERATION_LIMIT
    np.testing.assert_allclose(result.value, solution, rtol=1e-9)
    np.testing.assert_allclose(result.history, norms, rtol=1e-9)


@pytest.mark.parametrize("conjugated", [0, 1, 2])
def test_every_step_is_the_best_in_the_span_of_the_proposal_and_the_directions_kept(conjugated):
    matrix = rough_diffusion(6, seed=2)
    rhs, dense = rhs_of(matrix), matrix.toarray()
    factor, exact = np.linalg.cholesky(dense).T, np.linalg.solve(dense, rhs)
    proposals, steps, before = arbitrary(36), [], np.zeros(36)
    for count in range(1, 9):
        options = {"conjugated": conjugated, "max_iterations": count}
        after = flexible_cg(matrix, rhs, preconditioner=arbitrary(36), **options).value
        span = np.column_stack([proposals.solve(rhs), *steps[len(steps) - conjugated :]])
        weights = np.linalg.lstsq(factor @ span, factor @ (exact - before), rcond=None)[0]
        np.testing.assert_allclose(after, before + span @ weights, rtol=1e-8)
        steps.append(after - before)
        before = after


def test_kept_all_directions_end_it_after_as_many_steps_as_unknowns():
    matrix = rough_diffusion(4, seed=3)
    result = flexible_cg(matrix, rhs_of(matrix), preconditioner=arbitrary(16), conjugated=16, max_iterations=16)
    assert result.converged
    np.testing.assert_allclose(result.value, np.linalg.solve(matrix.toarray(), rhs_of(matrix)), rtol=1e-6)


@given(
    size=st.integers(2, 6),
    seed=st.integers(0, 99),
    conjugated=st.integers(0, 3),
    scale=st.sampled_from([-7.0, 1e-3, 1e6]),
)
@settings(max_examples=15, derandomize=True)
def test_the_length_and_the_sign_of_a_proposal_are_irrelevant(size, seed, conjugated, scale):
    matrix = rough_diffusion(size, seed)
    plain, scaled = rotating(size**2, seed), rotating(size**2, seed)
    other = Preconditioner("scaled", lambda residual: scale * scaled.solve(residual), None)
    options = {"conjugated": conjugated, "tolerance": 1e-6, "max_iterations": 5}
    first = flexible_cg(matrix, rhs_of(matrix), preconditioner=plain, **options)
    second = flexible_cg(matrix, rhs_of(matrix), preconditioner=other, **options)
    np.testing.assert_allclose(first.value, second.value, rtol=1e-7, atol=1e-10)


def test_the_errors_energy_never_grows_whatever_is_proposed():
    matrix = rough_diffusion(6, seed=4)
    rhs = rhs_of(matrix)
    exact = np.linalg.solve(matrix.toarray(), rhs)
    energies = []
    for steps in range(1, 30):
        error = flexible_cg(matrix, rhs, preconditioner=arbitrary(36), max_iterations=steps).value - exact
        energies.append(error @ (matrix @ error))
    assert (np.diff(energies) <= 0.0).all()


def test_converged_is_about_the_true_residual():
    matrix = laplacian(20)
    result = flexible_cg(matrix, rhs_of(matrix), preconditioner=IDENTITY, tolerance=1e-10)
    residual = np.linalg.norm(rhs_of(matrix) - matrix @ result.value) / np.linalg.norm(rhs_of(matrix))
    assert result.converged
    assert residual == pytest.approx(result.history[-1], rel=1e-6)
    assert residual <= 1e-10


def test_a_tolerance_beyond_rounding_ends_stagnated():
    matrix = laplacian(20)
    assert flexible_cg(matrix, rhs_of(matrix), preconditioner=IDENTITY, tolerance=1e-17).status is Status.STAGNATED


def test_a_proposal_of_nothing_breaks_down():
    nothing = Preconditioner("nothing", np.zeros_like, None)
    result = flexible_cg(laplacian(3), np.ones(9), preconditioner=nothing)
    assert result.status is Status.BREAKDOWN
    assert not result.value.any()


def test_a_matrix_that_is_not_positive_definite_breaks_down():
    result = flexible_cg(csr(np.diag([1.0, -1.0])), np.array([0.0, 1.0]), preconditioner=IDENTITY)
    assert result.status is Status.BREAKDOWN


def test_what_is_not_finite_is_reported():
    lost = Preconditioner("lost", lambda residual: residual * np.nan, None)
    assert flexible_cg(laplacian(3), np.ones(9), preconditioner=lost).status is Status.NOT_FINITE
    assert flexible_cg(laplacian(3), np.full(9, np.nan), preconditioner=IDENTITY).status is Status.NOT_FINITE


def test_a_zero_right_hand_side_and_an_exact_guess_take_no_step():
    assert flexible_cg(laplacian(3), np.zeros(9), preconditioner=IDENTITY).work["iterations"] == 0
    matrix, exact = laplacian(3), np.arange(9.0)
    result = flexible_cg(matrix, matrix @ exact, preconditioner=IDENTITY, initial_guess=exact)
    assert result.converged
    assert result.work["iterations"] == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"conjugated": -1}, "conjugated must be an integer at least 0, not -1"),
        ({"conjugated": 1.5}, "conjugated must be an integer"),
        ({"tolerance": 0.0}, "tolerance must be positive"),
        ({"tolerance": float("nan")}, "tolerance must be positive"),
        ({"max_iterations": 0}, "max_iterations must be an integer at least 1"),
        ({"initial_guess": np.ones(3)}, "initial_guess must be an array of shape"),
    ],
)
def test_bad_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        flexible_cg(laplacian(3), np.ones(9), preconditioner=IDENTITY, **options)
