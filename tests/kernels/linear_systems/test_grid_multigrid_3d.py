"""Grid multigrid on boxes against sparse LU, and its mathematical properties: symmetry, mesh independence, honesty."""

import numpy as np
import pytest
import scipy.sparse as sp
from box_systems import box_diffusion, lognormal_box, smooth_box_field, two_phase_box
from grid_systems import poisson, system
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import spsolve
from systems import relative_residual

from kernels.linear_systems.grid_multigrid_3d import (
    find_box,
    grid_multigrid_3d,
    grid_multigrid_3d_preconditioner,
    grid_multigrid_3d_sequence,
)
from kernels.linear_systems.preconditioners.factors import FactorizationError
from kernels.result import Status


@pytest.mark.parametrize(
    "shape",
    [
        (1, 1, 1),
        (1, 1, 2),
        (1, 1, 50),
        (1, 2, 2),
        (2, 2, 2),
        (1, 17, 20),
        (15, 1, 20),
        (15, 22, 1),
        (3, 5, 7),
        (8, 8, 8),
        (2, 30, 3),
        (40, 3, 5),
        (7, 16, 19),
        (20, 13, 11),
    ],
)
def test_it_agrees_with_sparse_lu_on_boxes_of_any_size(shape):
    matrix = lognormal_box(shape)
    rhs = np.random.default_rng(3).standard_normal(matrix.shape[0])
    result = grid_multigrid_3d(matrix, rhs, tolerance=1e-11)
    assert result.status is Status.CONVERGED
    assert relative_residual(matrix, rhs, result.value) <= 1.01e-11
    expected = spsolve(matrix.tocsc(), rhs).reshape(rhs.shape)
    np.testing.assert_allclose(result.value, expected, atol=1e-8 * np.abs(expected).max())


def test_a_sine_is_an_eigenvector_of_the_constant_coefficient():
    waves = [np.sin(np.pi * (np.arange(cells) + 0.5) / cells) for cells in (12, 17, 24)]
    eigenvalue = sum(4.0 * np.sin(0.5 * np.pi / cells) ** 2 for cells in (12, 17, 24))
    wave = np.einsum("i,j,k->ijk", *waves).ravel()
    result = grid_multigrid_3d(box_diffusion(np.ones((12, 17, 24))), eigenvalue * wave, tolerance=1e-12)
    np.testing.assert_allclose(result.value, wave, atol=1e-10)


def test_an_accuracy_of_1e_12_is_reached():
    matrix = lognormal_box((32, 31, 30))
    rhs = np.ones(matrix.shape[0])
    result = grid_multigrid_3d(matrix, rhs, tolerance=1e-12)
    assert result.converged
    assert relative_residual(matrix, rhs, result.value) <= 1.01e-12


@pytest.mark.parametrize("family", ["constant", "lognormal", "two-phase", "mixed"])
def test_the_number_of_iterations_does_not_grow_with_the_box(family):
    def matrix_of(size):
        shape = (size, size, size)
        field = smooth_box_field(shape, np.random.default_rng(1))
        if family == "constant":
            return box_diffusion(np.ones(shape))
        if family == "two-phase":
            return box_diffusion(np.where(field > 0, 12.0, 3.0))
        return box_diffusion(np.exp(field), open_axes=(0, 1, 2) if family == "lognormal" else (0,))

    iterations = [grid_multigrid_3d(matrix_of(size), np.ones(size**3)).work["iterations"] for size in (16, 32, 48)]
    assert max(iterations) <= 11
    assert iterations[-1] <= iterations[0] + 2


@pytest.mark.parametrize("strengths", [(1.0, 1.0, 1e-3), (1.0, 20.0, 1.0), (1e3, 1.0, 30.0), (1.0, 100.0, 100.0)])
@pytest.mark.parametrize("shape", [(20, 20, 20), (9, 33, 18)])
def test_anisotropy_along_the_axes_costs_few_iterations(strengths, shape):
    random = np.random.default_rng(5)
    matrix = box_diffusion(np.exp(smooth_box_field(shape, random)), strengths)
    result = grid_multigrid_3d(matrix, random.standard_normal(matrix.shape[0]))
    assert result.converged
    assert result.work["iterations"] <= 16


@pytest.mark.parametrize("contrast", [1e3, 1e6, 1e-6])
def test_coefficients_that_jump_cost_few_times_the_iterations(contrast):
    plain, jumping = (two_phase_box((24, 25, 26), high) for high in (1.0, contrast))
    rhs = np.ones(plain.shape[0])
    result = grid_multigrid_3d(jumping, rhs)
    assert result.converged
    assert relative_residual(jumping, rhs, result.value) <= 1.01e-8
    assert result.work["iterations"] <= 5 * grid_multigrid_3d(plain, rhs).work["iterations"]


@pytest.mark.parametrize(
    "matrix",
    [
        lognormal_box((8, 9, 11)),
        two_phase_box((9, 8, 8), 1e3),
        box_diffusion(np.ones((7, 9, 11)), (1.0, 1e3, 1.0)),
        box_diffusion(np.ones((7, 7, 7)), open_axes=(1,), reaction=0.1),
    ],
)
def test_the_preconditioner_is_symmetric_and_positive(matrix):
    solve = grid_multigrid_3d_preconditioner(matrix).solve
    random = np.random.default_rng(0)
    for _ in range(10):
        v, w = random.standard_normal((2, matrix.shape[0]))
        assert solve(v) @ w == pytest.approx(v @ solve(w), rel=1e-4, abs=1e-5 * abs(solve(v) @ v))
        assert solve(v) @ v > 0.0


def test_the_preconditioner_is_linear_and_close_to_the_inverse():
    matrix = lognormal_box((7, 8, 9))
    size = matrix.shape[0]
    solve = grid_multigrid_3d_preconditioner(matrix).solve
    v, w = np.random.default_rng(2).standard_normal((2, size))
    np.testing.assert_allclose(solve(2.0 * v - w), 2.0 * solve(v) - solve(w), rtol=1e-4, atol=1e-5)
    iteration = np.column_stack([e - solve(matrix @ e) for e in np.eye(size)])
    assert np.abs(np.linalg.eigvals(iteration)).max() < 0.35
    np.testing.assert_array_equal(solve(np.zeros(size)), np.zeros(size))


@pytest.mark.parametrize("scale", [1e-20, 1e20])
@pytest.mark.parametrize("rhs_scale", [1e-150, 1e150])
def test_scaling_the_system_changes_nothing(scale, rhs_scale):
    matrix = lognormal_box((10, 10, 10))
    rhs = np.random.default_rng(0).standard_normal(1000)
    plain = grid_multigrid_3d(matrix, rhs, tolerance=1e-10)
    scaled = grid_multigrid_3d(scale * matrix, rhs_scale * rhs, tolerance=1e-10)
    assert scaled.converged
    assert scaled.work == plain.work
    np.testing.assert_allclose(scaled.value, rhs_scale / scale * plain.value, rtol=1e-6)


def test_the_neumann_problem_with_a_consistent_rhs_is_solved():
    matrix = box_diffusion(np.exp(smooth_box_field((11, 12, 13), np.random.default_rng(0))), open_axes=())
    rhs = np.random.default_rng(1).standard_normal(matrix.shape[0])
    rhs -= rhs.mean()
    result = grid_multigrid_3d(matrix, rhs)
    assert result.converged
    assert relative_residual(matrix, rhs, result.value) <= 1.01e-8


def test_the_work_counts_v_cycles_and_products():
    result = grid_multigrid_3d(lognormal_box((12, 12, 12)), np.ones(1728))
    iterations = result.work["iterations"]
    assert result.work == {
        "iterations": iterations,
        "operator_applications": iterations + 1,
        "preconditioner_applications": iterations,
    }
    assert len(result.history) == iterations + 1
    assert result.history[0] == 1.0
    assert result.history[-1] <= 1e-8


def test_a_sequence_gives_what_single_solves_give_whatever_the_boxes_are():
    shape = (9, 12, 10)
    matrices = [lognormal_box(shape, 0), box_diffusion(np.ones(shape), (1e3, 1.0, 1.0)), lognormal_box(shape, 1)]
    matrices += [box_diffusion(np.ones(shape), (1.0, 1e3, 1e3)), lognormal_box((3, 5, 4)), lognormal_box(shape, 0)]
    systems = [system(matrix, np.arange(1.0, matrix.shape[0] + 1)) for matrix in matrices]
    for (position, result), expected in zip(grid_multigrid_3d_sequence(systems), range(6), strict=True):
        (_, alone), *_ = grid_multigrid_3d_sequence([systems[position]])
        assert position == expected
        assert result.converged
        np.testing.assert_array_equal(result.value, alone.value)


def test_a_preconditioner_is_not_disturbed_by_other_solves():
    matrix, vector = lognormal_box((6, 6, 6)), np.arange(216.0)
    solve = grid_multigrid_3d_preconditioner(matrix).solve
    before = solve(vector)
    grid_multigrid_3d(lognormal_box((6, 6, 6), 7), vector)
    grid_multigrid_3d_preconditioner(lognormal_box((6, 6, 6), 8))
    np.testing.assert_array_equal(solve(vector), before)


def test_a_failed_system_leaves_nothing_behind():
    matrix, rhs = lognormal_box((6, 6, 6)), np.ones(216)
    expected = grid_multigrid_3d(matrix, rhs).value
    broken = matrix.copy()
    broken.data = broken.data * 1e300
    undefined = matrix.copy()
    undefined.data[0] = np.nan
    systems = [system(broken, rhs * 1e300), system(undefined, rhs), system(matrix, rhs * np.nan), system(matrix, rhs)]
    *_, (_, last) = grid_multigrid_3d_sequence(systems)
    np.testing.assert_array_equal(last.value, expected)


@given(shape=st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6)))
@settings(max_examples=40, derandomize=True, deadline=None)
def test_the_box_is_found_from_the_pattern(shape):
    longer = [cells for cells in shape if cells > 1]
    # axes of one cell leave no trace in the pattern
    assert find_box(box_diffusion(np.ones(shape))) == (1,) * (3 - len(longer)) + tuple(longer)


def with_entry(row, column):
    matrix = lognormal_box((4, 4, 4)).tolil()
    matrix[row, column] = matrix[column, row] = -1.0
    return sp.csr_array(matrix)


def without_zeros():
    matrix = lognormal_box((4, 4, 4))
    matrix.data[4] = 0.0
    matrix.eliminate_zeros()
    return matrix


@pytest.mark.parametrize(
    "matrix",
    [
        with_entry(3, 30),
        with_entry(0, 3),
        with_entry(0, 48),
        with_entry(20, 23),
        without_zeros(),
        sp.eye_array(8, format="csr"),
        sp.csr_array(np.ones((6, 6))),
        sp.csr_array((9, 9)),
        sp.csr_array(sp.diags_array([np.ones(9), -np.ones(6)], offsets=[0, 3], shape=(9, 9))),
        sp.csr_array(lognormal_box((4, 4, 4))[np.random.default_rng(0).permutation(64)]),
    ],
)
def test_a_pattern_that_is_no_box_is_refused(matrix):
    matrix.sum_duplicates()
    with pytest.raises(ValueError, match="seven-point pattern of a box"):
        grid_multigrid_3d(matrix, np.ones(matrix.shape[0]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": 0.0}, "tolerance must be positive and finite, not 0.0"),
        ({"tolerance": np.nan}, "tolerance must be positive and finite, not nan"),
        ({"max_iterations": 0}, "max_iterations must be an integer at least 1, not 0"),
        ({"rhs": np.ones(3)}, r"rhs must be an array of shape \(27,\)"),
        ({"rhs": np.ones(27, dtype=np.float32)}, "rhs must be float64"),
        ({"matrix": lognormal_box((3, 3, 3)).toarray()}, "matrix must be a scipy.sparse.csr_array"),
        ({"matrix": lognormal_box((3, 3, 3))[:4]}, "matrix must be square"),
    ],
)
def test_bad_arguments_are_named(options, message):
    arguments = {"matrix": lognormal_box((3, 3, 3)), "rhs": np.ones(27)} | options
    with pytest.raises(ValueError, match=message):
        grid_multigrid_3d(**arguments)
    if "rhs" not in options and "matrix" not in options:
        with pytest.raises(ValueError, match=message):
            next(grid_multigrid_3d_sequence([], **options), None)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["diagonal", "coupling", "rhs"])
def test_what_is_not_finite_is_a_status(value, where):
    matrix, rhs = lognormal_box((4, 4, 4)), np.ones(64)
    if where == "rhs":
        rhs[4] = value
    else:
        matrix.data[0 if where == "diagonal" else 1] = value
    result = grid_multigrid_3d(matrix, rhs)
    assert result.status is Status.NOT_FINITE
    assert result.work["iterations"] == 0


def test_a_zero_rhs_has_the_zero_solution():
    result = grid_multigrid_3d(lognormal_box((4, 4, 4)), np.zeros(64))
    assert result.converged
    np.testing.assert_array_equal(result.value, np.zeros(64))


def test_too_few_iterations_are_told():
    matrix, rhs = lognormal_box((12, 12, 12)), np.ones(1728)
    result = grid_multigrid_3d(matrix, rhs, max_iterations=2)
    assert result.status is Status.ITERATION_LIMIT
    assert result.work["iterations"] == 2
    assert relative_residual(matrix, rhs, result.value) == pytest.approx(result.history[-1])
    assert result.history[-1] < 0.1


@pytest.mark.parametrize("entry", [1, 3, 40, -2])
def test_a_matrix_that_is_not_symmetric_is_a_breakdown(entry):
    matrix = lognormal_box((4, 4, 4))
    matrix.data[entry] *= 1.0 + 1e-12
    result = grid_multigrid_3d(matrix, np.ones(64))
    assert result.status is Status.BREAKDOWN
    assert result.work["iterations"] == 0


@pytest.mark.parametrize("shift", [-0.5, -6.5, -20.0])
def test_an_indefinite_matrix_is_never_called_converged_wrongly(shift):
    matrix = sp.csr_array(box_diffusion(np.ones((9, 9, 9))) + shift * sp.eye_array(729))
    rhs = np.random.default_rng(0).standard_normal(729)
    result = grid_multigrid_3d(matrix, rhs)
    assert result.status is not Status.CONVERGED or relative_residual(matrix, rhs, result.value) <= 1.01e-8
    assert shift > -6.5 or result.status is Status.BREAKDOWN


def test_a_tolerance_below_rounding_stagnates():
    result = grid_multigrid_3d(lognormal_box((12, 12, 12)), np.ones(1728), tolerance=1e-18)
    assert result.status is Status.STAGNATED


@pytest.mark.parametrize("entry", [0.0, np.nan])
def test_there_is_no_preconditioner_for_an_unusable_diagonal(entry):
    matrix = lognormal_box((4, 4, 4))
    matrix.data[0] = entry
    with pytest.raises(FactorizationError, match="grid_multigrid_3d"):
        grid_multigrid_3d_preconditioner(matrix)


def test_a_five_point_matrix_is_a_box_of_one_plane():
    matrix = poisson(20)
    assert find_box(matrix) == (1, 20, 20)
    assert relative_residual(matrix, np.ones(400), grid_multigrid_3d(matrix, np.ones(400)).value) <= 1.01e-8


def random_boxes(random):
    shape = tuple(random.integers(1, 24, 3))
    field = smooth_box_field(shape, random) + 0.5 * random.standard_normal(shape)
    strengths = 10.0 ** random.uniform(-3, 3, 3)
    axes = [(0, 1, 2), (0,), (1, 2), (2,)][random.integers(4)]
    two_phase = np.where(field > 0, 10.0 ** random.uniform(0, 6), 1.0)
    yield "log-normal", box_diffusion(np.exp(random.uniform(0.1, 2) * field), open_axes=axes)
    yield "two-phase", box_diffusion(two_phase, open_axes=axes)
    yield "anisotropic", box_diffusion(np.exp(field), strengths, axes)
    yield "anisotropic two-phase", box_diffusion(two_phase, strengths)
    yield "reaction", box_diffusion(np.exp(field), reaction=random.uniform(0, 1, shape))


@pytest.mark.slow
def test_what_is_called_converged_has_the_residual_on_a_hundred_random_instances_of_each_family():
    random = np.random.default_rng(0)
    unsolved = dict.fromkeys(["log-normal", "two-phase", "anisotropic", "anisotropic two-phase", "reaction"], 0)
    for _ in range(100):
        for family, matrix in random_boxes(random):
            rhs = random.standard_normal(matrix.shape[0])
            result = grid_multigrid_3d(matrix, rhs)
            residual = relative_residual(matrix, rhs, result.value)
            if result.status is Status.CONVERGED:
                assert residual <= 1.01e-8, family
            unsolved[family] += not result.converged
            assert result.history[-1] == pytest.approx(residual, rel=1e-3, abs=1e-13)
            if family in ("log-normal", "reaction"):
                assert result.work["iterations"] <= 15, family
    assert max(unsolved[family] for family in ("log-normal", "anisotropic", "reaction")) == 0
    assert max(unsolved["two-phase"], unsolved["anisotropic two-phase"]) <= 5
