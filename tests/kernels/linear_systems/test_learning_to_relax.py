from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from systems import csr, laplacian, relative_residual

from kernels.linear_systems.learning_to_relax import OMEGAS, cost_of, learning_to_relax
from kernels.linear_systems.relaxation import solve_relaxed
from kernels.online import BANDITS
from kernels.result import Status

INTERVAL = (-0.2, 0.8)
learners = pytest.mark.parametrize("learner", BANDITS)


def stream(count, seed=0, side=7):
    """Laplacians with random diagonal shifts, the shift the context."""
    random, matrix = np.random.default_rng(seed), laplacian(side)
    shifts = random.uniform(*INTERVAL, count)
    return [
        SimpleNamespace(
            matrix=csr(matrix + shift * sp.eye_array(side**2)),
            rhs=random.standard_normal(side**2),
            parameters=np.array([shift]),
        )
        for shift in shifts
    ]


def solve(systems, seed=1, **options):
    random = np.random.default_rng(seed)
    return list(learning_to_relax(systems, random=random, interval=INTERVAL, **options))


def iterations(solved):
    return np.array([result.work["iterations"] for _, result in solved])


@learners
@pytest.mark.parametrize("solver", ["sor", "ssor_cg"])
def test_every_system_is_solved_once_in_the_order_of_the_stream(learner, solver):
    systems = stream(25)
    solved = solve(systems, learner=learner, solver=solver)
    assert [position for position, _ in solved] == list(range(25))
    for system, (_, result) in zip(systems, solved, strict=True):
        assert result.converged
        assert relative_residual(system.matrix, system.rhs, result.value) <= 1e-8


@learners
def test_the_same_random_stream_gives_the_same_work(learner):
    systems = stream(40)
    first, second = (iterations(solve(systems, learner=learner)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@learners
def test_the_future_of_the_stream_has_no_influence(learner):
    systems = stream(30)
    whole, beginning = solve(systems, learner=learner), solve(systems[:20], learner=learner)
    np.testing.assert_array_equal(iterations(whole)[:20], iterations(beginning))


@pytest.mark.parametrize("learner", ["tsallis_inf", "chebcb", "epsilon_greedy"])
def test_iterations_fall_below_those_of_random_omegas(learner):
    systems = stream(500)
    learned = iterations(solve(systems, learner=learner))[-150:].mean()
    assert learned < 0.85 * iterations(solve(systems, learner="uniform"))[-150:].mean()


def test_with_the_context_fewer_iterations_are_needed_than_at_the_best_fixed_omega():
    systems = stream(1500)
    late = iterations(solve(systems, learner="chebcb"))[-300:].sum()
    fixed = [
        sum(solve_relaxed(system, solver="sor", omega=omega).work["iterations"] for system in systems[-300:])
        for omega in OMEGAS
    ]
    assert late < min(fixed)


def test_one_omega_leaves_no_choice():
    systems = stream(5)
    for system, (_, result) in zip(systems, solve(systems, omegas=(1.3,)), strict=True):
        np.testing.assert_array_equal(result.value, solve_relaxed(system, solver="sor", omega=1.3).value)


def test_a_solve_that_does_not_converge_costs_the_limit():
    (system,) = stream(1)
    unfinished = solve_relaxed(system, solver="sor", omega=1.0, max_iterations=3)
    finished = solve_relaxed(system, solver="sor", omega=1.0)
    diverged = solve_relaxed(
        SimpleNamespace(matrix=csr(np.array([[1.0, 9.0], [9.0, 1.0]])), rhs=np.ones(2)), solver="sor", omega=1.0
    )
    assert diverged.status is Status.NOT_FINITE
    assert [cost_of(unfinished, 3), cost_of(diverged, 10_000)] == [3.0, 10_000.0]
    assert cost_of(finished, 10_000) == finished.work["iterations"]


@learners
def test_systems_that_take_no_iteration_teach_nothing(learner):
    systems = stream(20)
    odd = [SimpleNamespace(matrix=systems[0].matrix, rhs=rhs, parameters=np.array([0.1])) for rhs in (np.zeros(49),)]
    odd.append(SimpleNamespace(matrix=systems[0].matrix, rhs=np.full(49, np.nan), parameters=np.array([0.1])))
    statuses = [result.status for _, result in solve([*odd, *systems], learner=learner)]
    assert statuses[:2] == [Status.CONVERGED, Status.NOT_FINITE]
    assert statuses[2:] == [Status.CONVERGED] * 20


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"omegas": ()}, "omegas must hold at least one"),
        ({"omegas": (0.5, 2.0)}, "omega must lie strictly between 0 and 2, not 2.0"),
        ({"learner": "oracle"}, "name must be one of"),
        ({"solver": "jacobi"}, "solver must be one of"),
        ({"tolerance": -1.0}, "tolerance"),
        ({"max_iterations": 0}, "max_iterations"),
    ],
)
def test_bad_options_are_refused_by_name(options, named):
    with pytest.raises(ValueError, match=named):
        solve(stream(1), **options)


def test_a_context_outside_the_interval_is_refused():
    systems = stream(1)
    systems[0].parameters = np.array([0.9])
    with pytest.raises(ValueError, match=r"interval from -0\.2 to 0\.8, not 0\.9"):
        solve(systems, learner="chebcb")
