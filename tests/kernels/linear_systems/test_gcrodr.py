import numpy as np
import pytest
import scipy.linalg as la
import scipy.sparse as sp
import scipy.sparse.linalg as sla
from hypothesis import given, settings
from hypothesis import strategies as st
from systems import (
    convection,
    csr,
    jacobi,
    laplacian,
    relative_residual,
    rhs_of,
    rough_diffusion,
    same_history,
    symmetric_gauss_seidel,
)

from kernels.linear_systems import gcrodr as module
from kernels.linear_systems.gcrodr import gcrodr
from kernels.linear_systems.gmres import gmres
from kernels.linear_systems.krylov_tools import ArnoldiRelation, RecycledSpace, Run
from kernels.linear_systems.types import Preconditioner
from kernels.result import Status


def varying_convection(size=10, seed=0):
    random = np.random.default_rng(seed)
    return csr(sp.diags_array(1.0 + 4.0 * random.random(size**2)) @ convection(size))


def dense_gcrodr(matrix, rhs, approximation, restart, recycle, cycles, carried=None):
    """GCRO-DR by brute force: every residual is a dense least-squares minimum over the whole space of its cycle."""
    operator = matrix.toarray() @ np.linalg.inv(approximation)
    residual = rhs.copy()
    recycled = np.empty((len(rhs), 0)) if carried is None else approximation @ carried
    history = []
    for _ in range(cycles):
        images = la.orth(operator @ recycled) if recycled.size else recycled
        deflated = residual - images @ (images.T @ residual)
        history = history or [np.linalg.norm(deflated)]
        krylov = deflated[:, None] / np.linalg.norm(deflated)
        start = residual
        for _ in range(restart - recycled.shape[1]):
            space = np.hstack([recycled, krylov])
            y = np.linalg.lstsq(operator @ space, start, rcond=None)[0]
            residual = start - operator @ (space @ y)
            history.append(np.linalg.norm(residual))
            following = operator @ krylov[:, -1]
            for _ in range(3):
                following -= images @ (images.T @ following)
                following -= krylov @ (krylov.T @ following)
            krylov = np.hstack([krylov, following[:, None] / np.linalg.norm(following)])
        image = operator @ space
        values, vectors = la.eig(image.T @ image, image.T @ space)
        order = np.argsort(np.abs(values))
        keep = recycle
        if np.isclose(values[order[keep - 1]], values[order[keep]].conj()) and values[order[keep]].imag != 0:
            keep -= 1
        chosen = space @ vectors[:, order[:keep]]
        recycled = la.orth(np.hstack([chosen.real, chosen.imag]), rcond=1e-8)
        assert recycled.shape[1] == keep
    return np.array(history) / np.linalg.norm(rhs), np.linalg.solve(approximation, recycled)


PRECONDITIONERS = {"none": lambda matrix: None, "jacobi": jacobi, "gauss-seidel": symmetric_gauss_seidel}
MATRICES = {"symmetric": rough_diffusion(9, seed=0), "convection": varying_convection(9)}


@pytest.mark.parametrize("preconditioner", PRECONDITIONERS.values(), ids=PRECONDITIONERS)
@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
@pytest.mark.parametrize(("restart", "recycle"), [(12, 4), (10, 5), (9, 2)])
def test_the_history_is_that_of_dense_minimisation_fresh_and_carried(matrix, preconditioner, restart, recycle):
    rhs, made = rhs_of(matrix), preconditioner(matrix)
    dense = np.eye(81) if made is None else np.column_stack([made.multiply(e) for e in np.eye(81)])
    options = {"preconditioner": made, "restart": restart, "recycle": recycle, "tolerance": 1e-9}
    expected, carried = dense_gcrodr(matrix, rhs, dense, restart, recycle, cycles=3)
    same_history(gcrodr(matrix, rhs, **options)[0].history, expected, rtol=1e-5, above=1e-5)

    other, new_rhs = csr(matrix + 0.1 * sp.eye_array(81)), rhs_of(matrix, seed=1)
    expected, _ = dense_gcrodr(other, new_rhs, dense, restart, recycle, cycles=2, carried=carried)
    result, _ = gcrodr(other, new_rhs, recycled=RecycledSpace(carried), **options)
    same_history(result.history, expected, rtol=1e-5, above=1e-5)


def test_the_first_cycle_is_gmres():
    matrix = varying_convection()
    rhs, preconditioner = rhs_of(matrix), jacobi(matrix)
    result, _ = gcrodr(matrix, rhs, preconditioner=preconditioner, restart=15, recycle=5)
    reference = gmres(matrix, rhs, preconditioner=preconditioner, restart=15)
    np.testing.assert_allclose(result.history[:16], reference.history[:16], rtol=1e-10)


def test_it_needs_far_fewer_steps_than_gmres_with_the_same_restart():
    matrix = rough_diffusion(25, seed=0)
    rhs, preconditioner = rhs_of(matrix), jacobi(matrix)
    reference = gmres(matrix, rhs, preconditioner=preconditioner, restart=20)
    result, _ = gcrodr(matrix, rhs, preconditioner=preconditioner, restart=20, recycle=8)
    assert result.converged
    assert result.work["iterations"] < 0.7 * reference.work["iterations"]


def test_it_is_close_to_scipys_recycling_method():
    matrix = rough_diffusion(20, seed=0)
    rhs = rhs_of(matrix)
    steps = []
    reference, failed = sla.gcrotmk(matrix, rhs, m=20, k=10, rtol=1e-8, callback=steps.append)
    assert failed == 0
    result, _ = gcrodr(matrix, rhs, restart=30, recycle=10)
    np.testing.assert_allclose(result.value, reference, rtol=0, atol=1e-5 * np.abs(reference).max())
    assert result.work["iterations"] < 1.3 * 20 * len(steps)


@pytest.mark.parametrize("preconditioner", PRECONDITIONERS.values(), ids=PRECONDITIONERS)
def test_carrying_the_space_pays_on_the_same_and_on_a_similar_matrix(preconditioner):
    matrix = rough_diffusion(20, seed=0)
    similar = csr(matrix + 0.02 * rough_diffusion(20, seed=1))
    made = preconditioner(matrix)
    _, carried = gcrodr(matrix, rhs_of(matrix), preconditioner=made)
    for system in (matrix, similar):
        rhs, made = rhs_of(matrix, seed=1), preconditioner(system)
        fresh, _ = gcrodr(system, rhs, preconditioner=made)
        again, _ = gcrodr(system, rhs, preconditioner=made, recycled=carried)
        assert again.converged
        assert again.work["iterations"] < 0.75 * fresh.work["iterations"]
        assert again.work["operator_applications"] < fresh.work["operator_applications"]


def test_a_solution_in_the_carried_space_takes_no_step():
    matrix = rough_diffusion(8, seed=0)
    rhs = rhs_of(matrix)
    exact = np.linalg.solve(matrix.toarray(), rhs)
    result, carried = gcrodr(matrix, rhs, recycled=RecycledSpace(np.column_stack([exact, rhs])))
    assert result.converged
    assert result.work["iterations"] == 0
    assert result.work["operator_applications"] == 3
    assert carried.vectors.shape == (64, 2)


def test_products_are_counted_with_those_for_the_carried_space():
    matrix = rough_diffusion(10, seed=0)
    rhs, preconditioner = rhs_of(matrix), jacobi(matrix)
    fresh, carried = gcrodr(matrix, rhs, preconditioner=preconditioner, restart=15, recycle=6)
    assert fresh.work["operator_applications"] == fresh.work["iterations"] + 1
    assert fresh.work["preconditioner_applications"] == fresh.work["iterations"]
    assert fresh.work["preconditioner_products"] == 0
    width = carried.vectors.shape[1]
    again, _ = gcrodr(matrix, rhs, preconditioner=preconditioner, restart=15, recycle=6, recycled=carried)
    assert again.work["operator_applications"] == again.work["iterations"] + width + 1
    assert again.work["preconditioner_products"] == width


@pytest.mark.parametrize("preconditioner", PRECONDITIONERS.values(), ids=PRECONDITIONERS)
@pytest.mark.parametrize("matrix", [rough_diffusion(25, seed=0), varying_convection(25)], ids=["symmetric", "general"])
def test_the_images_do_not_drift_over_many_cycles(matrix, preconditioner):
    made = preconditioner(matrix)
    run = Run(matrix, rhs_of(matrix), made, 1e-10, 2000, None)
    nothing = np.empty((0, 625))
    relation = ArnoldiRelation(run, 12, keep_directions=True)
    _, space = module._iterate(run, relation, module._Deflation(nothing, nothing, nothing), 5)
    assert run.iterations > 50
    assert np.abs(space.solutions @ matrix.T.toarray() - space.images).max() < 1e-8
    assert np.abs(space.images @ space.images.T - np.eye(len(space.images))).max() < 1e-12
    expected = space.solutions if made is None else np.array([made.multiply(u) for u in space.solutions])
    np.testing.assert_allclose(space.preconditioned, expected, atol=1e-8 * np.abs(expected).max())


def test_without_multiply_the_carried_copy_stands_in():
    matrix = rough_diffusion(12, seed=0)
    rhs, complete = rhs_of(matrix), symmetric_gauss_seidel(matrix)
    solve_only = Preconditioner("solve only", complete.solve, None)
    _, carried = gcrodr(matrix, rhs, preconditioner=complete)
    reference, _ = gcrodr(matrix, rhs_of(matrix, 1), preconditioner=complete, recycled=carried)
    result, _ = gcrodr(matrix, rhs_of(matrix, 1), preconditioner=solve_only, recycled=carried)
    assert result.work["preconditioner_products"] == 0
    same_history(result.history, reference.history)
    uninformed, _ = gcrodr(
        matrix, rhs_of(matrix, 1), preconditioner=solve_only, recycled=RecycledSpace(carried.vectors)
    )
    assert uninformed.converged


@pytest.mark.parametrize("block", ["repeated", "zero", "nearly dependent"])
def test_dependent_carried_vectors_are_dropped(block):
    matrix = rough_diffusion(8, seed=0)
    rhs, random = rhs_of(matrix), np.random.default_rng(3)
    vectors = random.standard_normal((64, 4))
    if block == "zero":
        vectors[:] = 0.0
    else:
        vectors[:, 2] = vectors[:, 0] + (1e-14 * vectors[:, 3] if block == "nearly dependent" else 0.0)
    result, carried = gcrodr(matrix, rhs, restart=12, recycle=4, recycled=RecycledSpace(vectors))
    assert result.converged
    assert np.linalg.matrix_rank(carried.vectors) == carried.vectors.shape[1] <= 4


def test_a_matrix_that_annihilates_the_carried_space_is_no_harm():
    matrix = laplacian(6, corner=1.0)
    rhs = rhs_of(matrix)
    rhs -= rhs.mean()
    result, _ = gcrodr(matrix, rhs, recycled=RecycledSpace(np.ones((36, 1))))
    assert result.converged


@settings(derandomize=True, max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(2, 12), data=st.data())
def test_the_kept_ritz_space_is_invariant_and_splits_no_pair(seed, size, data):
    count = data.draw(st.integers(1, size))
    matrix = np.random.default_rng(seed).standard_normal((size, size))
    basis = module._dominant_invariant_space(matrix, count)
    kept = basis.shape[1]
    values = np.linalg.eigvals(matrix)
    values = values[np.argsort(-np.abs(values), kind="stable")]
    split = count < size and np.isclose(values[count - 1], values[count].conj()) and abs(values[count].imag) > 1e-12
    assert kept == count - split
    projected = basis.T @ matrix @ basis
    np.testing.assert_allclose(matrix @ basis, basis @ projected, atol=1e-10 * np.abs(matrix).max())
    np.testing.assert_allclose(
        np.sort(np.abs(np.linalg.eigvals(projected))), np.sort(np.abs(values[:kept])), rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize("size", [1, 2, 5, 12])
def test_small_systems_in_a_row_are_solved(size):
    random, carried = np.random.default_rng(0), None
    for _ in range(4):
        matrix = csr(random.standard_normal((size, size)) + 2 * size * np.eye(size))
        rhs = random.standard_normal(size)
        result, carried = gcrodr(matrix, rhs, restart=6, recycle=3, tolerance=1e-12, recycled=carried)
        assert result.converged
        assert carried is None or carried.vectors.shape[1] <= 3


def test_a_sequence_that_alternates_between_kinds_of_matrices_is_solved():
    carried = None
    for step in range(6):
        matrix = varying_convection(12, seed=step) if step % 2 else rough_diffusion(12, seed=step)
        rhs = rhs_of(matrix, seed=step)
        result, carried = gcrodr(matrix, rhs, preconditioner=jacobi(matrix), restart=12, recycle=5, recycled=carried)
        assert result.converged
        assert relative_residual(matrix, rhs, result.value) <= 1e-8


def test_stagnation_is_not_called_before_the_space_has_changed():
    shift = csr(np.roll(np.eye(10), 1, axis=0))
    result, _ = gcrodr(shift, np.eye(10)[0], restart=5, recycle=2)
    assert result.status is Status.STAGNATED
    assert result.work["iterations"] > 5


def test_a_zero_right_hand_side_passes_the_carried_space_on():
    carried = RecycledSpace(np.ones((9, 1)))
    result, passed = gcrodr(laplacian(3), np.zeros(9), recycled=carried)
    assert result.converged
    assert passed is carried


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"restart": 1}, "restart"),
        ({"restart": 10, "recycle": 10}, "recycle"),
        ({"recycle": 0}, "recycle"),
        ({"recycled": RecycledSpace(np.ones((8, 2)))}, "recycled.vectors"),
        ({"recycled": RecycledSpace(np.ones(9))}, "recycled.vectors"),
        ({"recycled": RecycledSpace(np.ones((9, 11)))}, "recycled.vectors"),
        ({"recycled": RecycledSpace(np.full((9, 2), np.nan))}, "recycled.vectors"),
        ({"recycled": RecycledSpace(np.ones((9, 2), dtype=np.float32))}, "recycled.vectors"),
        ({"recycled": RecycledSpace(np.ones((9, 2)), np.ones((9, 3)))}, "recycled.preconditioned"),
    ],
)
def test_bad_options_are_refused_by_name(options, named):
    with pytest.raises(ValueError, match=named):
        gcrodr(laplacian(3), np.ones(9), **options)
