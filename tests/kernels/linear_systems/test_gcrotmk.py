import numpy as np
import pytest
import scipy.sparse as sp
from grid_systems import canonical, convection_diffusion, poisson, system
from scipy.sparse.linalg import gcrotmk, spsolve

from kernels.linear_systems.gcrotmk import gcrotmk_sequence
from kernels.result import Status


def solve_all(systems, **options):
    return [result for _, result in gcrotmk_sequence(systems, **options)]


def drifting_systems(count=4, side=16, seed=0):
    random = np.random.default_rng(seed)
    matrix, rhs = convection_diffusion(side), random.standard_normal(side**2)
    return [
        system(canonical(matrix + sp.diags_array(1e-3 * i * random.random(side**2))), rhs + 0.1 * i)
        for i in range(count)
    ]


@pytest.mark.parametrize("carry", [True, False])
@pytest.mark.parametrize("name", ["none", "jacobi", "ilu0"])
def test_every_system_of_a_sequence_is_solved(name, carry):
    systems = drifting_systems()
    for item, result in zip(systems, solve_all(systems, preconditioner=name, carry=carry), strict=True):
        assert result.status is Status.CONVERGED
        np.testing.assert_allclose(result.value, spsolve(item.matrix.tocsc(), item.rhs), rtol=1e-5, atol=1e-7)
        residual = np.linalg.norm(item.rhs - item.matrix @ result.value) / np.linalg.norm(item.rhs)
        np.testing.assert_allclose(result.history[-1], residual)
        assert result.history[0] == 1.0
        assert (np.diff(result.history) < 0).all()


def test_the_first_system_is_solved_as_by_scipy():
    item = drifting_systems(1)[0]
    calls = []

    def multiply(vector):
        calls.append(vector)
        return item.matrix @ vector

    operator = sp.linalg.LinearOperator(item.matrix.shape, multiply, dtype=float)
    expected, _ = gcrotmk(operator, item.rhs, rtol=1e-8, m=20, k=10)
    result = solve_all([item], preconditioner="none")[0]
    np.testing.assert_array_equal(result.value, expected)
    # one more, for the true residual
    assert result.work["operator_applications"] == len(calls) + 1


def test_the_history_is_the_true_residual_of_every_cycle():
    item = drifting_systems(1, side=24)[0]
    results = [solve_all([item], preconditioner="none", max_iterations=budget)[0] for budget in (30, 59, 87, 10_000)]
    *partial, full = results
    for cycles, result in enumerate(partial, start=1):
        assert result.status is Status.ITERATION_LIMIT
        np.testing.assert_allclose(result.history, full.history[: cycles + 1], rtol=1e-6)


def test_carried_vectors_make_the_same_system_much_cheaper():
    systems = drifting_systems(1, side=24) * 3
    carried, fresh = (solve_all(systems, preconditioner="none", carry=carry) for carry in (True, False))
    assert carried[0].work == fresh[0].work == fresh[2].work
    # the solution itself is among the vectors, but the products with all of them are to be made
    assert carried[1].work["iterations"] == 0
    assert carried[1].work["operator_applications"] > len(fresh[0].history)


def test_carried_vectors_help_on_slowly_changing_systems():
    systems = drifting_systems(6, side=24)
    carried, fresh = (solve_all(systems, carry=carry) for carry in (True, False))
    later = slice(1, None)
    assert sum(r.work["iterations"] for r in carried[later]) < sum(r.work["iterations"] for r in fresh[later])


def test_the_iteration_limit_is_exact_and_the_sequence_goes_on():
    systems = drifting_systems(3, side=24)
    results = solve_all(systems, preconditioner="none", max_iterations=45)
    assert results[0].status is Status.ITERATION_LIMIT
    for result in results:
        assert result.work["iterations"] <= 45
        assert result.work["preconditioner_applications"] == result.work["iterations"]
    assert results[0].work["iterations"] == 45


def test_a_change_of_size_starts_afresh():
    small, large = drifting_systems(1, side=8)[0], drifting_systems(1, side=12)[0]
    results = solve_all([small, large, small])
    assert all(result.converged for result in results)
    assert results[2].work == results[0].work


def test_systems_that_fail_are_reported_and_passed_over():
    good = system(poisson(6), np.ones(36))
    infinite = system(poisson(6), np.full(36, np.inf))
    no_diagonal = system(canonical(np.roll(np.eye(36), 1, axis=0)), np.ones(36))
    zero = system(poisson(6), np.zeros(36))
    statuses = [result.status for result in solve_all([infinite, good, no_diagonal, zero, good])]
    assert statuses == [
        Status.NOT_FINITE,
        Status.CONVERGED,
        Status.BREAKDOWN,
        Status.CONVERGED,
        Status.CONVERGED,
    ]


@pytest.mark.parametrize("tolerance", [1e-16, 1e-30])
@pytest.mark.parametrize("side", [8, 24])
def test_a_tolerance_below_rounding_is_reported_as_stagnation(side, tolerance):
    item = system(poisson(side), np.arange(float(side**2)))
    result = solve_all([item], tolerance=tolerance, max_iterations=500)[0]
    assert result.status is Status.STAGNATED
    assert result.history[-1] < 1e-12


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"preconditioner": "milu"}, "preconditioner"),
        ({"restart": 1}, "restart"),
        ({"recycle": 30}, "recycle"),
        ({"recycle": 0}, "recycle"),
        ({"tolerance": np.nan}, "tolerance"),
        ({"max_iterations": 0}, "max_iterations"),
    ],
)
def test_a_bad_option_is_refused_by_name(options, name):
    with pytest.raises(ValueError, match=f"{name} must"):
        solve_all([system(poisson(3), np.ones(9))], **options)


def test_a_right_hand_side_of_the_wrong_shape_is_refused():
    with pytest.raises(ValueError, match="rhs must be"):
        solve_all([system(poisson(3), np.ones(8))])
