"""Grid multigrid where it is hard: strong flow, anisotropy, rough media; what converges, and what is given up early."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.linear_systems.grid_multigrid import grid_multigrid
from kernels.linear_systems.grid_multigrid.krylov import FEWEST_ITERATIONS, PATIENCE, is_out_of_reach
from kernels.result import Status


def balances(conductance_x, conductance_y, flow_x=0.0, flow_y=0.0):
    """The flux balances of the cells, from the faces of shape (rows, columns + 1) and (rows + 1, columns)."""
    before_x, behind_x = conductance_x + flow_x / 2, conductance_x - flow_x / 2
    before_y, behind_y = conductance_y + flow_y / 2, conductance_y - flow_y / 2
    centre = before_x[:, 1:] + behind_x[:, :-1] + before_y[1:] + behind_y[:-1]
    points = np.arange(centre.size).reshape(centre.shape)
    parts = [
        (points, points, centre),
        (points[1:], points[:-1], -before_y[1:-1]),
        (points[:-1], points[1:], -behind_y[1:-1]),
        (points[:, 1:], points[:, :-1], -before_x[:, 1:-1]),
        (points[:, :-1], points[:, 1:], -behind_x[:, 1:-1]),
    ]
    row, column, value = (np.concatenate([part[i].ravel() for part in parts]) for i in range(3))
    return sp.csr_array((value, (row, column)), shape=(centre.size, centre.size))


def medium(along_x, along_y):
    """Diffusion with a conductivity for each direction, by harmonic means; zero on the boundary."""
    rows, columns = along_x.shape
    x, y = np.empty((rows, columns + 1)), np.empty((rows + 1, columns))
    x[:, 1:-1] = 2.0 / (1.0 / along_x[:, 1:] + 1.0 / along_x[:, :-1])
    y[1:-1] = 2.0 / (1.0 / along_y[1:] + 1.0 / along_y[:-1])
    x[:, [0, -1]], y[[0, -1]] = 2.0 * along_x[:, [0, -1]], 2.0 * along_y[[0, -1]]
    return balances(x, y)


def flow(rows, columns, cell_peclet, random, upwind=False, through=False):
    """Unit diffusion in the flow of a random stream function; where it crosses the boundary it carries zero."""
    y, x = np.meshgrid(np.linspace(0, np.pi, rows + 1), np.linspace(0, np.pi, columns + 1), indexing="ij")
    wave = np.cos if through else np.sin
    modes = random.standard_normal((3, 3))
    stream = sum(modes[i, j] * wave((i + 1) * y) * wave((j + 1) * x) for i in range(3) for j in range(3))
    flow_x, flow_y = np.diff(stream, axis=0), -np.diff(stream, axis=1)
    flow_x[:, [0, -1]] = flow_y[[0, -1]] = 0.0
    scale = cell_peclet / max(np.abs(flow_x).max(), np.abs(flow_y).max())
    flow_x, flow_y = scale * flow_x, scale * flow_y
    diffusion_x, diffusion_y = np.ones((rows, columns + 1)), np.ones((rows + 1, columns))
    diffusion_x[:, [0, -1]] = diffusion_y[[0, -1]] = 2.0
    if upwind:
        diffusion_x, diffusion_y = diffusion_x + np.abs(flow_x) / 2, diffusion_y + np.abs(flow_y) / 2
    return balances(diffusion_x, diffusion_y, flow_x, flow_y)


def rough(shape, decades, random):
    return 10.0 ** random.uniform(-decades / 2, decades / 2, shape)


def smooth(rows, columns, random):
    y, x = np.meshgrid(np.linspace(0, np.pi, rows), np.linspace(0, np.pi, columns), indexing="ij")
    weights = random.standard_normal((4, 4))
    return sum(weights[i, j] * np.cos(i * y) * np.cos(j * x) for i in range(4) for j in range(4))


def two_phase(rows, columns, contrast, random):
    phase = np.where(smooth(rows, columns, random) > 0.0, contrast, 1.0)
    return medium(phase, phase)


def pixels(rows, columns, contrast, random):
    phase = np.where(random.random((rows, columns)) < 0.5, contrast, 1.0)
    return medium(phase, phase)


def turning(rows, columns, ratio, random):
    """The direction of the larger conductivity changes smoothly from place to place."""
    share = np.tanh(3.0 * smooth(rows, columns, random)) / 2.0
    return medium(ratio**share, ratio**-share)


def extended_residual(matrix, rhs, solution):
    """The relative residual norm in extended precision, and what rounding makes of it in double precision."""
    products = matrix.data.astype(np.longdouble) * solution[matrix.indices]
    residual = np.linalg.norm((rhs - np.add.reduceat(products, matrix.indptr[:-1])).astype(np.float64))
    magnitudes = np.linalg.norm(abs(matrix) @ np.abs(solution) + np.abs(rhs))
    return residual / np.linalg.norm(rhs), 8.0 * np.finfo(np.float64).eps * magnitudes / np.linalg.norm(rhs)


def solve_and_check(matrix, random, tolerance=1e-8, **options):
    """Solve for a random right-hand side; whatever the status says must be true, to rounding."""
    rhs = random.standard_normal(matrix.shape[0])
    result = grid_multigrid(matrix, rhs, tolerance=tolerance, **options)
    residual, rounding = extended_residual(matrix, rhs, result.value)
    assert result.history[-1] == pytest.approx(residual, rel=1e-6, abs=rounding)
    if result.status is Status.CONVERGED:
        assert residual <= tolerance + rounding
    else:
        assert residual > tolerance - rounding
    return result


@pytest.mark.parametrize(("cell_peclet", "most"), [(1.0, 12), (10.0, 16), (100.0, 30)])
def test_upwind_differences_converge_at_every_peclet_number(cell_peclet, most):
    random = np.random.default_rng(0)
    result = solve_and_check(flow(64, 60, cell_peclet, random, upwind=True), random)
    assert result.converged
    assert result.work["iterations"] <= most


@pytest.mark.parametrize(("cell_peclet", "most"), [(0.5, 9), (2.0, 11), (5.0, 16)])
@pytest.mark.parametrize("adjoint", [False, True])
def test_flow_across_the_boundary_costs_few_iterations(cell_peclet, most, adjoint):
    random = np.random.default_rng(1)
    matrix = flow(64, 64, cell_peclet, random, through=True)
    result = solve_and_check(sp.csr_array(matrix.T) if adjoint else matrix, random)
    assert result.converged
    assert result.work["iterations"] <= most


@pytest.mark.parametrize("ratio", [1e-3, 1e3])
@pytest.mark.parametrize("decades", [0.0, 1.0])
def test_anisotropy_of_a_thousand_along_either_axis_costs_few_iterations(ratio, decades):
    random = np.random.default_rng(2)
    along_y = rough((64, 48), decades, random)
    result = solve_and_check(medium(ratio * along_y, along_y), random)
    assert result.converged
    assert result.work["iterations"] <= 11


@pytest.mark.parametrize(("kind", "most"), [("cell by cell", 40), ("turning", 140)])
def test_anisotropy_that_changes_within_the_grid_costs_more_but_converges(kind, most):
    random = np.random.default_rng(3)
    if kind == "turning":
        matrix = turning(48, 48, 1e3, random)
    else:
        matrix = medium(rough((48, 48), 3.0, random), rough((48, 48), 3.0, random))
    result = solve_and_check(matrix, random)
    assert result.converged
    assert result.work["iterations"] <= most


@pytest.mark.parametrize("tolerance", [1e-10, 1e-12])
@pytest.mark.parametrize("kind", ["upwind", "central", "anisotropic", "rough"])
def test_tolerances_far_below_1e_10_are_reached(kind, tolerance):
    random = np.random.default_rng(4)
    matrix = {
        "upwind": lambda: flow(40, 40, 100.0, random, upwind=True),
        "central": lambda: flow(40, 40, 2.0, random, through=True),
        "anisotropic": lambda: medium(1e3 * rough((40, 40), 1.0, random), rough((40, 40), 1.0, random)),
        "rough": lambda: medium(*2 * [rough((40, 40), 2.0, random)]),
    }[kind]()
    assert solve_and_check(matrix, random, tolerance).converged


@pytest.mark.parametrize("kind", ["pixels", "flow"])
def test_a_hopeless_run_is_given_up_early(kind):
    random = np.random.default_rng(5)
    hopeless = pixels(64, 64, 1e6, random) if kind == "pixels" else flow(64, 64, 100.0, random, through=True)
    result = solve_and_check(hopeless, random)
    assert result.status is Status.ITERATION_LIMIT
    assert FEWEST_ITERATIONS <= result.work["iterations"] <= 60
    assert len(result.history) == result.work["iterations"] + 1


def test_a_steady_run_is_not_given_up_where_the_limit_is_tight():
    matrix = flow(64, 64, 100.0, np.random.default_rng(6), upwind=True)
    iterations = grid_multigrid(matrix, np.ones(4096)).work["iterations"]
    tight = grid_multigrid(matrix, np.ones(4096), max_iterations=iterations)
    assert tight.converged
    assert tight.work["iterations"] == iterations


@given(rate=st.floats(0.05, 0.999), done=st.integers(FEWEST_ITERATIONS, 60), limit=st.integers(60, 400))
@settings(max_examples=100, derandomize=True, deadline=None)
def test_a_run_of_steady_rate_is_given_up_where_many_times_the_rate_would_not_do(rate, done, limit):
    history = np.full(limit + 1, np.nan)
    history[: done + 1] = rate ** np.arange(done + 1)
    target = 1e-8
    needed = np.log(target) / np.log(rate) - done
    if history[done] > target and abs(needed - PATIENCE * (limit - done)) > 1e-6 * limit:
        assert is_out_of_reach(history, done, target) == (needed > PATIENCE * (limit - done))


@pytest.mark.parametrize(("done", "expected"), [(0, False), (FEWEST_ITERATIONS - 1, False), (FEWEST_ITERATIONS, True)])
def test_a_run_without_progress_is_given_up_after_the_first_iterations(done, expected):
    assert is_out_of_reach(np.ones(200), done, 1e-8) == expected


@pytest.mark.parametrize("limit", [1, 5])
def test_the_limit_itself_ends_every_run(limit):
    assert is_out_of_reach(np.ones(limit + 1), limit, 1e-8)
    assert not is_out_of_reach(np.ones(limit + 1), limit - 1, 1e-8)


def random_anisotropic(rows, columns, random):
    ratio = 10.0 ** random.uniform(-3.0, 3.0)
    along_y = rough((rows, columns), random.uniform(0.0, 1.0), random)
    return medium(ratio * along_y, along_y)


FAMILIES = {
    "rough": (lambda r, c, random: medium(*2 * [rough((r, c), random.uniform(0.0, 6.0), random)]), 0.9),
    "two phases": (lambda r, c, random: two_phase(r, c, 10.0 ** random.uniform(0.0, 6.0), random), 0.99),
    "pixels": (lambda r, c, random: pixels(r, c, 10.0 ** random.uniform(0.0, 6.0), random), 0.7),
    "anisotropic": (random_anisotropic, 1.0),
    "anisotropic cell by cell": (
        lambda r, c, random: medium(rough((r, c), 3.0, random), rough((r, c), 3.0, random)),
        1.0,
    ),
    "turning": (lambda r, c, random: turning(r, c, 10.0 ** random.uniform(0.0, 3.0), random), 0.99),
    "central": (lambda r, c, random: flow(r, c, 10.0 ** random.uniform(0.0, 2.0), random), 0.95),
    "upwind": (lambda r, c, random: flow(r, c, 10.0 ** random.uniform(0.0, 2.0), random, upwind=True), 1.0),
    "central, through": (lambda r, c, random: flow(r, c, 10.0 ** random.uniform(0.0, 2.0), random, through=True), 0.7),
    "upwind, through": (
        lambda r, c, random: flow(r, c, 10.0 ** random.uniform(0.0, 2.0), random, upwind=True, through=True),
        1.0,
    ),
}


def share_solved(family, count):
    make, least = FAMILIES[family]
    random = np.random.default_rng(7)
    solved = 0
    for _ in range(count):
        rows, columns = random.integers(4, 49, 2)
        solved += solve_and_check(make(rows, columns, random), random).converged
    return solved / count, least


@pytest.mark.parametrize("family", FAMILIES)
def test_twenty_random_instances_are_solved_or_said_not_to_be(family):
    share_solved(family, 20)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_thousand_random_instances_are_solved_or_said_not_to_be(family):
    share, least = share_solved(family, 1000)
    assert share >= least
