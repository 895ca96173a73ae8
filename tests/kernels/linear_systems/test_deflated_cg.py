import numpy as np
import pytest
import scipy.linalg as la
from systems import (
    csr,
    jacobi,
    laplacian,
    rhs_of,
    rough_diffusion,
    same_history,
    symmetric_gauss_seidel,
)

from kernels.linear_systems.cg import cg
from kernels.linear_systems.deflated_cg import deflated_cg
from kernels.linear_systems.krylov_tools import RecycledSpace
from kernels.result import Status

PRECONDITIONERS = {"none": lambda matrix: None, "jacobi": jacobi, "gauss-seidel": symmetric_gauss_seidel}
preconditioners = pytest.mark.parametrize("make", PRECONDITIONERS.values(), ids=PRECONDITIONERS)


@preconditioners
def test_with_nothing_carried_it_is_cg(make):
    matrix = rough_diffusion(12, seed=0)
    rhs, preconditioner = rhs_of(matrix), make(matrix)
    result, _ = deflated_cg(matrix, rhs, preconditioner=preconditioner)
    reference = cg(matrix, rhs, preconditioner=preconditioner)
    np.testing.assert_array_equal(result.history, reference.history)
    np.testing.assert_array_equal(result.value, reference.value)
    assert result.work == reference.work


def test_exact_eigenvectors_leave_cg_on_the_rest_of_the_spectrum():
    random = np.random.default_rng(0)
    eigenvalues = np.r_[np.logspace(-6, -4, 8), np.linspace(1.0, 3.0, 92)]
    vectors = np.linalg.qr(random.standard_normal((100, 100)))[0]
    dense = (vectors * eigenvalues) @ vectors.T
    matrix, rhs = csr((dense + dense.T) / 2), random.standard_normal(100)
    result, _ = deflated_cg(matrix, rhs, recycled=RecycledSpace(vectors[:, :8]))
    rest = csr(np.diag(eigenvalues[8:]))
    reference = cg(
        rest, vectors[:, 8:].T @ rhs, tolerance=1e-8 * np.linalg.norm(rhs) / np.linalg.norm(vectors[:, 8:].T @ rhs)
    )
    assert result.converged
    assert abs(result.work["iterations"] - reference.work["iterations"]) <= 1
    same_history(result.history / result.history[0], reference.history, rtol=1e-4)
    assert cg(matrix, rhs).work["iterations"] > 3 * result.work["iterations"]


@preconditioners
def test_the_residual_is_orthogonal_to_the_deflation_space_all_along(make):
    matrix = rough_diffusion(10, seed=0)
    rhs, space = rhs_of(matrix), np.random.default_rng(1).standard_normal((100, 6))
    carried = RecycledSpace(np.linalg.qr(space)[0])
    for steps in (1, 2, 5, 10, 20, 40):
        options = {"preconditioner": make(matrix), "recycled": carried, "max_iterations": steps, "tolerance": 1e-14}
        result, _ = deflated_cg(matrix, rhs, **options)
        residual = rhs - matrix @ result.value
        assert np.abs(carried.vectors.T @ residual).max() < 1e-11 * np.linalg.norm(rhs)


@preconditioners
def test_the_iterates_minimise_the_energy_error_over_the_deflated_krylov_space(make):
    matrix = rough_diffusion(7, seed=0)
    rhs, space = rhs_of(matrix), np.random.default_rng(1).standard_normal((49, 3))
    preconditioner = make(matrix)
    for steps in (1, 3, 6):
        whole = deflated_krylov_space(matrix, rhs, preconditioner, space, steps)
        best = whole @ np.linalg.solve(whole.T @ (matrix @ whole), whole.T @ rhs)
        options = {"preconditioner": preconditioner, "recycled": RecycledSpace(space), "max_iterations": steps}
        np.testing.assert_allclose(deflated_cg(matrix, rhs, **options)[0].value, best, rtol=1e-8, atol=1e-10)


def deflated_krylov_space(matrix, rhs, preconditioner, space, steps):
    """An orthonormal basis of span[W, P_steps], from the deflated operator's powers."""
    solve = preconditioner.solve if preconditioner else lambda v: v
    images = matrix @ space
    energy = space.T @ images
    directions = np.empty((len(rhs), 0))
    vector = rhs - images @ np.linalg.solve(energy, space.T @ rhs)
    for _ in range(steps):
        preconditioned = solve(vector)
        direction = preconditioned - space @ np.linalg.solve(energy, images.T @ preconditioned)
        direction -= directions @ np.linalg.lstsq(directions, direction, rcond=None)[0]
        directions = np.column_stack([directions, direction / np.linalg.norm(direction)])
        vector = matrix @ directions[:, -1]
    return np.linalg.qr(np.hstack([space, directions]))[0]


@preconditioners
@pytest.mark.parametrize("width", [0, 3])
def test_the_next_space_holds_the_harmonic_ritz_vectors_of_the_dense_problem(make, width):
    matrix = rough_diffusion(8, seed=0)
    rhs, space = rhs_of(matrix), np.random.default_rng(1).standard_normal((64, width))
    preconditioner = make(matrix)
    carried = RecycledSpace(space) if width else None
    _, following = deflated_cg(matrix, rhs, preconditioner=preconditioner, recycle=4, stored=9, recycled=carried)
    whole = deflated_krylov_space(matrix, rhs, preconditioner, space, 9)
    images = matrix @ whole
    solved = images if preconditioner is None else np.column_stack([preconditioner.solve(v) for v in images.T])
    reference = whole @ la.eigh(images.T @ solved, whole.T @ images, subset_by_index=[0, 3])[1]
    assert following.vectors.shape == (64, 4)
    assert np.max(la.subspace_angles(following.vectors, reference)) < 1e-6


@preconditioners
def test_a_sequence_of_similar_systems_gets_cheaper(make):
    base, carried, saved = rough_diffusion(20, seed=0), None, []
    for step in range(6):
        matrix = csr(base + 0.02 * rough_diffusion(20, seed=step + 1))
        rhs, preconditioner = rhs_of(matrix, seed=step), make(matrix)
        result, carried = deflated_cg(matrix, rhs, preconditioner=preconditioner, recycled=carried)
        assert result.converged
        saved.append(result.work["iterations"] / cg(matrix, rhs, preconditioner=preconditioner).work["iterations"])
    assert saved[0] == 1.0
    assert max(saved[2:]) < 0.85
    assert saved[-1] < 0.75


def test_products_are_counted_with_those_for_the_carried_space():
    matrix = rough_diffusion(10, seed=0)
    rhs, preconditioner = rhs_of(matrix), jacobi(matrix)
    _, carried = deflated_cg(matrix, rhs, preconditioner=preconditioner, recycle=5)
    result, _ = deflated_cg(matrix, rhs, preconditioner=preconditioner, recycle=5, recycled=carried)
    assert result.work["operator_applications"] == result.work["iterations"] + 5 + 1
    assert result.work["preconditioner_applications"] == result.work["iterations"] + 5


def test_dependent_carried_vectors_are_dropped():
    matrix = rough_diffusion(8, seed=0)
    vectors = np.random.default_rng(0).standard_normal((64, 3))
    vectors[:, 2] = vectors[:, 0]
    result, carried = deflated_cg(matrix, rhs_of(matrix), recycled=RecycledSpace(vectors))
    assert result.converged
    assert np.isfinite(carried.vectors).all()


def test_a_solution_in_the_carried_space_takes_no_step():
    matrix = rough_diffusion(8, seed=0)
    rhs = rhs_of(matrix)
    exact = np.linalg.solve(matrix.toarray(), rhs)
    result, _ = deflated_cg(matrix, rhs, recycled=RecycledSpace(exact[:, None]))
    assert result.converged
    assert result.work["iterations"] == 0


def test_the_stored_directions_need_not_fill():
    matrix = csr(np.diag([1.0, 2.0, 2.0, 1.0]))
    carried = None
    for _ in range(3):
        result, carried = deflated_cg(matrix, np.array([1.0, 2.0, 3.0, 4.0]), recycle=3, recycled=carried)
        assert result.converged


def test_an_indefinite_matrix_is_a_breakdown():
    assert deflated_cg(csr(np.diag([1.0, -2.0, 3.0])), np.ones(3))[0].status is Status.BREAKDOWN


def test_a_failed_system_hands_the_carried_space_on():
    matrix, carried = laplacian(4), RecycledSpace(np.eye(16, 3))
    matrix.data[0] = np.nan
    result, passed = deflated_cg(matrix, np.ones(16), recycled=carried)
    assert result.status is Status.NOT_FINITE
    assert passed is carried


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"recycle": 0}, "recycle"),
        ({"stored": 0}, "stored"),
        ({"recycled": RecycledSpace(np.ones((8, 2)))}, "recycled.vectors"),
        ({"recycled": RecycledSpace(np.ones((9, 11)))}, "recycled.vectors"),
        ({"recycled": RecycledSpace(np.full((9, 2), np.inf))}, "recycled.vectors"),
    ],
)
def test_bad_options_are_refused_by_name(options, named):
    with pytest.raises(ValueError, match=named):
        deflated_cg(laplacian(3), np.ones(9), **options)
