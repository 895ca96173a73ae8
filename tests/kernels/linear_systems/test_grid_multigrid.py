"""Grid multigrid against sparse LU, and its mathematical properties: symmetry, mesh independence, honest residuals."""

import numpy as np
import pytest
import scipy.sparse as sp
from grid_systems import poisson, system
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import spsolve
from systems import consistent_neumann, relative_residual

from kernels.linear_systems.grid_multigrid import (
    grid_multigrid,
    grid_multigrid_preconditioner,
    grid_multigrid_sequence,
)
from kernels.linear_systems.grid_multigrid.stencil import find_grid
from kernels.linear_systems.preconditioners.factors import FactorizationError
from kernels.result import Status


def five_point(south, west, centre, east, north):
    """The matrix of five arrays of shape (rows, columns), every entry of the pattern stored."""
    rows, columns = centre.shape
    points = np.arange(centre.size).reshape(rows, columns)
    parts = [
        (points, points, centre),
        (points[1:], points[:-1], south[1:]),
        (points[:-1], points[1:], north[:-1]),
        (points[:, 1:], points[:, :-1], west[:, 1:]),
        (points[:, :-1], points[:, 1:], east[:, :-1]),
    ]
    row, column, value = (np.concatenate([part[i].ravel() for part in parts]) for i in range(3))
    matrix = sp.csr_array((value, (row, column)), shape=(centre.size, centre.size))
    matrix.sum_duplicates()
    return matrix


def diffusion(coefficient, strength_x=1.0, open_sides="wesn"):
    """-div(a grad u) by finite volumes, u = 0 on the open sides, no flux through the others."""
    a = coefficient
    rows, columns = a.shape
    faces_x, faces_y = np.zeros((rows, columns + 1)), np.zeros((rows + 1, columns))
    faces_x[:, 1:-1] = strength_x * 2.0 / (1.0 / a[:, :-1] + 1.0 / a[:, 1:])
    faces_y[1:-1] = 2.0 / (1.0 / a[:-1] + 1.0 / a[1:])
    faces_x[:, 0] = 2.0 * strength_x * a[:, 0] * ("w" in open_sides)
    faces_x[:, -1] = 2.0 * strength_x * a[:, -1] * ("e" in open_sides)
    faces_y[0], faces_y[-1] = 2.0 * a[0] * ("s" in open_sides), 2.0 * a[-1] * ("n" in open_sides)
    south, north, west, east = faces_y[:-1], faces_y[1:], faces_x[:, :-1], faces_x[:, 1:]
    return five_point(-south, -west, south + north + west + east, -east, -north)


def recirculating(rows, columns, cell_peclet, random):
    """Diffusion 1 and the flow of a random stream function that vanishes on the boundary, central differences."""
    y, x = np.meshgrid(np.linspace(0, np.pi, rows + 1), np.linspace(0, np.pi, columns + 1), indexing="ij")
    modes = random.standard_normal((3, 3))
    waves = (modes[i, j] * np.sin((i + 1) * y) * np.sin((j + 1) * x) for i in range(3) for j in range(3))
    stream = sum(waves)
    flow_x, flow_y = np.diff(stream, axis=0), -np.diff(stream, axis=1)
    scale = cell_peclet / max(np.abs(flow_x).max(), np.abs(flow_y).max())
    flow_x, flow_y = scale * flow_x, scale * flow_y
    diffusive_x, diffusive_y = np.ones((rows, columns + 1)), np.ones((rows + 1, columns))
    diffusive_x[:, [0, -1]] = diffusive_y[[0, -1]] = 2.0
    west, east = -diffusive_x[:, :-1] - flow_x[:, :-1] / 2, -diffusive_x[:, 1:] + flow_x[:, 1:] / 2
    south, north = -diffusive_y[:-1] - flow_y[:-1] / 2, -diffusive_y[1:] + flow_y[1:] / 2
    centre = diffusive_x[:, :-1] + diffusive_x[:, 1:] + diffusive_y[:-1] + diffusive_y[1:]
    centre = centre + np.diff(flow_x, axis=1) / 2 + np.diff(flow_y, axis=0) / 2
    return five_point(south, west, centre, east, north)


def smooth_field(rows, columns, random, modes=6):
    """A smooth random field of unit deviation or so."""
    y, x = np.meshgrid(np.linspace(0, np.pi, rows), np.linspace(0, np.pi, columns), indexing="ij")
    weights = random.standard_normal((modes, modes)) / (1.0 + np.add.outer(np.arange(modes), np.arange(modes)))
    return sum(weights[i, j] * np.cos(i * y) * np.cos(j * x) for i in range(modes) for j in range(modes))


def lognormal(rows, columns, seed=0):
    random = np.random.default_rng(seed)
    return diffusion(np.exp(smooth_field(rows, columns, random) + 0.3 * random.standard_normal((rows, columns))))


@pytest.mark.parametrize(
    "shape",
    [(1, 1), (1, 2), (2, 1), (1, 50), (2, 2), (3, 3), (2, 40), (40, 2), (5, 7), (8, 8), (17, 33), (31, 20), (64, 64)],
)
@pytest.mark.parametrize("kind", ["diffusion", "flow"])
def test_it_agrees_with_sparse_lu_on_grids_of_any_size(shape, kind):
    random = np.random.default_rng(3)
    matrix = lognormal(*shape) if kind == "diffusion" else recirculating(*shape, 0.5, random)
    rhs = random.standard_normal(matrix.shape[0])
    result = grid_multigrid(matrix, rhs, tolerance=1e-11)
    assert result.status is Status.CONVERGED
    assert relative_residual(matrix, rhs, result.value) <= 1e-11
    expected = spsolve(matrix.tocsc(), rhs)
    np.testing.assert_allclose(result.value, expected, atol=1e-8 * np.abs(expected).max())


def test_an_accuracy_of_1e_12_is_reached():
    matrix = lognormal(96, 96)
    rhs = np.ones(matrix.shape[0])
    result = grid_multigrid(matrix, rhs, tolerance=1e-12)
    assert result.converged
    assert relative_residual(matrix, rhs, result.value) <= 1.01e-12


@pytest.mark.parametrize("family", ["constant", "lognormal", "two-phase", "mixed"])
def test_the_number_of_iterations_does_not_grow_with_the_grid(family):
    def matrix_of(size):
        field = smooth_field(size, size, np.random.default_rng(1))
        if family == "constant":
            return diffusion(np.ones((size, size)))
        if family == "two-phase":
            return diffusion(np.where(field > 0, 12.0, 3.0))
        return diffusion(np.exp(field), open_sides="wesn" if family == "lognormal" else "wn")

    iterations = [
        grid_multigrid(matrix_of(size), np.ones(size * size)).work["iterations"] for size in (32, 64, 128, 256)
    ]
    assert max(iterations) <= 11
    assert iterations[-1] <= iterations[0] + 2


@pytest.mark.parametrize("strength", [1e-3, 0.05, 20.0, 1e3])
@pytest.mark.parametrize("shape", [(48, 48), (33, 90)])
def test_anisotropy_along_the_grid_costs_few_iterations(strength, shape):
    random = np.random.default_rng(5)
    matrix = diffusion(np.exp(smooth_field(*shape, random)), strength_x=strength)
    result = grid_multigrid(matrix, random.standard_normal(matrix.shape[0]))
    assert result.converged
    assert result.work["iterations"] <= 16


@pytest.mark.parametrize("matrix", [lognormal(24, 31), diffusion(np.ones((16, 16)), 1e3), poisson(15)])
def test_the_preconditioner_of_a_symmetric_matrix_is_symmetric_and_positive(matrix):
    solve = grid_multigrid_preconditioner(matrix).solve
    random = np.random.default_rng(0)
    for _ in range(10):
        v, w = random.standard_normal((2, matrix.shape[0]))
        assert solve(v) @ w == pytest.approx(v @ solve(w), rel=1e-4, abs=1e-5 * abs(solve(v) @ v))
        assert solve(v) @ v > 0.0


def test_the_preconditioner_is_linear_and_close_to_the_inverse():
    matrix = lognormal(20, 20)
    solve = grid_multigrid_preconditioner(matrix).solve
    random = np.random.default_rng(2)
    v, w = random.standard_normal((2, 400))
    np.testing.assert_allclose(solve(2.0 * v - w), 2.0 * solve(v) - solve(w), rtol=1e-4, atol=1e-5)
    iteration = np.column_stack([e - solve(matrix @ e) for e in np.eye(400)])
    assert np.abs(np.linalg.eigvals(iteration)).max() < 0.35
    np.testing.assert_array_equal(solve(np.zeros(400)), np.zeros(400))


def families(random, rows, columns):
    field = smooth_field(rows, columns, random) + 0.5 * random.standard_normal((rows, columns))
    contrast = 10.0 ** random.uniform(0, 6)
    anisotropy = 10.0 ** random.uniform(-3, 3)
    sides = random.choice(["wesn", "w", "sn", "en"])
    two_phase = np.where(field > 0, contrast, 1.0)
    yield "log-normal", diffusion(np.exp(random.uniform(0.1, 3) * field), open_sides=sides)
    yield "two-phase", diffusion(two_phase, open_sides=sides)
    yield "anisotropic", diffusion(np.exp(field), anisotropy, sides)
    yield "anisotropic two-phase", diffusion(two_phase, anisotropy)
    yield "reaction", diffusion(np.exp(field)) + sp.diags_array(random.uniform(0, 1, rows * columns), format="csr")
    yield "flow", recirculating(rows, columns, 10.0 ** random.uniform(-2, 2), random)


def test_what_is_called_converged_has_the_residual_on_a_hundred_random_instances_of_each_family():
    random = np.random.default_rng(0)
    unsolved = dict.fromkeys(["log-normal", "two-phase", "anisotropic", "anisotropic two-phase", "reaction", "flow"], 0)
    for _ in range(100):
        rows, columns = random.integers(3, 40, 2)
        for family, matrix in families(random, rows, columns):
            rhs = random.standard_normal(matrix.shape[0])
            result = grid_multigrid(sp.csr_array(matrix), rhs)
            residual = relative_residual(matrix, rhs, result.value)
            if result.status is Status.CONVERGED:
                assert residual <= 1.01e-8, family
            unsolved[family] += not result.converged
            if result.status is not Status.NOT_FINITE:
                assert result.history[-1] == pytest.approx(residual, rel=1e-3, abs=1e-13)
    assert max(unsolved[family] for family in ("log-normal", "anisotropic", "reaction")) == 0
    assert max(unsolved["two-phase"], unsolved["anisotropic two-phase"]) <= 5
    assert unsolved["flow"] <= 10


@pytest.mark.parametrize("scale", [1e-20, 1e20])
@pytest.mark.parametrize("rhs_scale", [1e-150, 1e150])
@pytest.mark.parametrize("kind", ["diffusion", "flow"])
def test_scaling_the_system_changes_nothing(scale, rhs_scale, kind):
    random = np.random.default_rng(0)
    matrix = lognormal(20, 20) if kind == "diffusion" else recirculating(20, 20, 0.5, random)
    rhs = random.standard_normal(400)
    plain = grid_multigrid(matrix, rhs, tolerance=1e-10)
    scaled = grid_multigrid(scale * matrix, rhs_scale * rhs, tolerance=1e-10)
    assert scaled.converged
    assert scaled.work == plain.work
    np.testing.assert_allclose(scaled.value, rhs_scale / scale * plain.value, rtol=1e-6)


def test_a_row_scaled_badly_is_solved_as_well():
    scales = np.logspace(-8, 8, 400)
    matrix = sp.csr_array(sp.diags_array(scales) @ lognormal(20, 20) @ sp.diags_array(scales))
    matrix.data = np.ascontiguousarray((matrix.data + matrix.T.tocsr().data) / 2)
    rhs = matrix @ (1.0 / scales)
    result = grid_multigrid(matrix, rhs)
    assert result.converged
    assert relative_residual(matrix, rhs, result.value) <= 1.01e-8


@pytest.mark.parametrize(("cell_peclet", "most"), [(0.1, 10), (1.0, 20), (4.0, 70)])
@pytest.mark.parametrize("shape", [(64, 64), (50, 77)])
def test_recirculating_flow_is_solved_at_moderate_cell_peclet_numbers(cell_peclet, most, shape):
    random = np.random.default_rng(4)
    matrix = recirculating(*shape, cell_peclet, random)
    rhs = random.standard_normal(matrix.shape[0])
    result = grid_multigrid(matrix, rhs)
    assert result.converged
    assert relative_residual(matrix, rhs, result.value) <= 1.01e-8
    assert result.work["iterations"] <= most


def test_coefficients_that_jump_by_a_million_cost_few_times_the_iterations():
    field = smooth_field(64, 64, np.random.default_rng(1))
    plain, jumping = (grid_multigrid(diffusion(np.where(field > 0, high, 1.0)), np.ones(4096)) for high in (1.0, 1e6))
    assert jumping.converged
    assert jumping.work["iterations"] <= 5 * plain.work["iterations"]


def test_the_neumann_problem_with_a_consistent_rhs_is_solved():
    matrix, rhs = consistent_neumann(24)
    result = grid_multigrid(matrix, rhs)
    assert result.converged
    assert relative_residual(matrix, rhs, result.value) <= 1.01e-8


def test_the_work_counts_v_cycles_and_products():
    matrix = lognormal(32, 32)
    result = grid_multigrid(matrix, np.ones(1024))
    iterations = result.work["iterations"]
    assert result.work == {
        "iterations": iterations,
        "operator_applications": iterations + 1,
        "preconditioner_applications": iterations,
    }
    flow = grid_multigrid(recirculating(32, 32, 0.5, np.random.default_rng(0)), np.ones(1024))
    assert 2 * flow.work["iterations"] - 1 <= flow.work["preconditioner_applications"] <= 2 * flow.work["iterations"]
    assert flow.work["operator_applications"] == flow.work["preconditioner_applications"] + 1
    assert len(result.history) == iterations + 1
    assert result.history[0] == 1.0
    assert result.history[-1] <= 1e-8


def test_a_sequence_gives_what_single_solves_give_whatever_the_grids_are():
    matrices = [lognormal(20, 24, 0), lognormal(20, 24, 1), diffusion(np.ones((20, 24)), 1e3)]
    matrices += [recirculating(20, 24, 0.5, np.random.default_rng(0)), lognormal(9, 5), lognormal(20, 24, 0)]
    systems = [system(matrix, np.arange(1.0, matrix.shape[0] + 1)) for matrix in matrices]
    for (position, result), expected in zip(grid_multigrid_sequence(systems), range(6), strict=True):
        single = grid_multigrid(systems[position].matrix, systems[position].rhs)
        assert position == expected
        assert result.converged
        np.testing.assert_array_equal(result.value, single.value)


def test_a_hierarchy_of_fewer_levels_before_leaves_no_trace():
    random = np.random.default_rng(4)
    matrices = [diffusion(np.exp(random.standard_normal((12, 12))), strength) for strength in (1e3, 1.0, 1e3)]
    systems = [system(matrix, random.standard_normal(144)) for matrix in matrices]
    alone = [next(iter(grid_multigrid_sequence([one])))[1].value for one in systems]
    for position, result in grid_multigrid_sequence(systems):
        np.testing.assert_array_equal(result.value, alone[position])


def test_a_preconditioner_is_not_disturbed_by_other_solves():
    matrix, vector = lognormal(16, 16), np.arange(256.0)
    solve = grid_multigrid_preconditioner(matrix).solve
    before = solve(vector)
    grid_multigrid(lognormal(16, 16, 7), vector)
    grid_multigrid_preconditioner(lognormal(16, 16, 8))
    np.testing.assert_array_equal(solve(vector), before)


def test_a_failed_system_leaves_nothing_behind():
    matrix, rhs = lognormal(16, 16), np.ones(256)
    expected = grid_multigrid(matrix, rhs).value
    broken = matrix.copy()
    broken.data = broken.data * 1e300
    systems = [system(broken, rhs * 1e300), system(matrix, rhs * np.nan), system(matrix, rhs)]
    *_, (_, last) = grid_multigrid_sequence(systems)
    np.testing.assert_array_equal(last.value, expected)


@given(rows=st.integers(1, 9), columns=st.integers(1, 9))
@settings(max_examples=40, derandomize=True, deadline=None)
def test_the_grid_is_found_from_the_pattern(rows, columns):
    found = find_grid(diffusion(np.ones((rows, columns))))
    assert found == ((1, rows) if columns == 1 else (rows, columns))


def off_by_one_entry():
    matrix = lognormal(6, 6).tolil()
    matrix[3, 20] = 1.0
    return sp.csr_array(matrix)


def periodic():
    matrix = lognormal(6, 6).tolil()
    matrix[0, 5] = matrix[5, 0] = -1.0
    return sp.csr_array(matrix)


def without_zeros():
    matrix = lognormal(6, 6)
    matrix.data[3] = 0.0
    matrix.eliminate_zeros()
    return matrix


@pytest.mark.parametrize(
    "matrix",
    [
        off_by_one_entry(),
        periodic(),
        without_zeros(),
        sp.eye_array(9, format="csr"),
        sp.csr_array(np.ones((6, 6))),
        sp.csr_array((9, 9)),
        sp.csr_array(sp.diags_array([np.ones(9), -np.ones(6)], offsets=[0, 3], shape=(9, 9))),
        sp.csr_array(lognormal(6, 6)[np.random.default_rng(0).permutation(36)]),
    ],
)
def test_a_pattern_that_is_no_grid_is_refused(matrix):
    matrix.sum_duplicates()
    with pytest.raises(ValueError, match="five-point pattern of a rectangular grid"):
        grid_multigrid(matrix, np.ones(matrix.shape[0]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": 0.0}, "tolerance must be positive and finite, not 0.0"),
        ({"tolerance": np.nan}, "tolerance must be positive and finite, not nan"),
        ({"max_iterations": 0}, "max_iterations must be an integer at least 1, not 0"),
        ({"rhs": np.ones(3)}, r"rhs must be an array of shape \(16,\)"),
        ({"rhs": np.ones(16, dtype=np.float32)}, "rhs must be float64"),
        ({"matrix": lognormal(4, 4).toarray()}, "matrix must be a scipy.sparse.csr_array"),
        ({"matrix": lognormal(4, 4)[:4]}, "matrix must be square"),
    ],
)
def test_bad_arguments_are_named(options, message):
    arguments = {"matrix": lognormal(4, 4), "rhs": np.ones(16)} | options
    with pytest.raises(ValueError, match=message):
        grid_multigrid(**arguments)
    if "rhs" not in options and "matrix" not in options:
        with pytest.raises(ValueError, match=message):
            next(grid_multigrid_sequence([], **options), None)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["diagonal", "coupling", "rhs"])
def test_what_is_not_finite_is_a_status(value, where):
    matrix, rhs = lognormal(6, 6), np.ones(36)
    if where == "rhs":
        rhs[4] = value
    else:
        matrix.data[0 if where == "diagonal" else 1] = value
    result = grid_multigrid(matrix, rhs)
    assert result.status is Status.NOT_FINITE
    assert result.work["iterations"] == 0


def test_a_zero_rhs_has_the_zero_solution():
    result = grid_multigrid(lognormal(6, 6), np.zeros(36))
    assert result.converged
    np.testing.assert_array_equal(result.value, np.zeros(36))


def test_too_few_iterations_are_told():
    result = grid_multigrid(lognormal(32, 32), np.ones(1024), max_iterations=2)
    assert result.status is Status.ITERATION_LIMIT
    assert result.work["iterations"] == 2
    assert len(result.history) == 3
    assert relative_residual(lognormal(32, 32), np.ones(1024), result.value) == pytest.approx(result.history[-1])
    assert result.history[-1] < 0.1


@pytest.mark.parametrize("shift", [-9.0, -0.5])
def test_an_indefinite_matrix_is_never_called_converged_wrongly(shift):
    matrix = sp.csr_array(poisson(20) + shift * sp.eye_array(400))
    rhs = np.random.default_rng(0).standard_normal(400)
    result = grid_multigrid(matrix, rhs)
    assert result.status is not Status.CONVERGED or relative_residual(matrix, rhs, result.value) <= 1.01e-8
    assert shift > -4.0 or result.status is Status.BREAKDOWN


def test_a_tolerance_below_rounding_stagnates():
    result = grid_multigrid(lognormal(32, 32), np.ones(1024), tolerance=1e-18)
    assert result.status is Status.STAGNATED


@pytest.mark.parametrize("entry", [0.0, np.nan])
def test_there_is_no_preconditioner_for_an_unusable_diagonal(entry):
    matrix = lognormal(6, 6)
    matrix.data[0] = entry
    with pytest.raises(FactorizationError, match="grid_multigrid"):
        grid_multigrid_preconditioner(matrix)
