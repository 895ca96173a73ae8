import numpy as np
import pytest
from grid_systems import canonical, poisson, system
from scipy.sparse.linalg import spsolve
from systems import rough_diffusion

from kernels.linear_systems.gcrodr import gcrodr
from kernels.linear_systems.ordering import order_sequence
from kernels.linear_systems.preconditioners import build_preconditioner
from kernels.linear_systems.skr import sorting_krylov_recycling
from kernels.result import Status

OPTIONS = {"restart": 12, "recycle": 4, "tolerance": 1e-9}


def family(count, side=10, seed=0):
    """A family of one parameter, in random order: the nearer the parameters, the nearer the matrices."""
    random = np.random.default_rng(seed)
    first, second = rough_diffusion(side, 1), rough_diffusion(side, 2)
    rhs = random.standard_normal(side**2)
    systems = []
    for weight in random.permutation(np.linspace(0.0, 1.0, count)):
        one = system(canonical((1 - weight) * first + weight * second), rhs)
        one.parameters = np.array([weight])
        systems.append(one)
    return systems


def solve(systems, **options):
    """The results by position, and the positions in the order in which they were solved."""
    solved = list(sorting_krylov_recycling(systems, **{**OPTIONS, **options}))
    return dict(solved), [position for position, _ in solved]


def applications(results):
    return sum(result.work["operator_applications"] for result in results.values())


@pytest.mark.parametrize("solver", ["gcrodr", "deflated_cg"])
@pytest.mark.parametrize("ordering", ["greedy", "none", "grouped", "hilbert", "shuffled"])
def test_every_system_is_solved_once_whatever_the_order(solver, ordering):
    systems = family(6)
    seed = {"ordering_options": {"seed": 0}} if ordering == "shuffled" else {}
    results, order = solve(systems, solver=solver, ordering=ordering, **seed)
    assert sorted(order) == list(range(6))
    for position, one in enumerate(systems):
        assert results[position].converged
        assert np.linalg.norm(one.rhs - one.matrix @ results[position].value) <= 1e-9 * np.linalg.norm(one.rhs)
        np.testing.assert_allclose(results[position].value, spsolve(one.matrix, one.rhs), rtol=1e-5, atol=1e-7)


def test_the_systems_are_solved_in_the_order_of_the_sort():
    systems = family(8)
    weights = np.array([one.parameters[0] for one in systems])
    _, greedy = solve(systems, ordering="greedy")
    assert greedy == order_sequence(weights[:, None], "greedy").tolist()
    assert solve(systems, ordering="none")[1] == list(range(8))
    path = np.abs(np.diff(weights[greedy])).sum()
    assert path < np.abs(np.diff(weights)).sum()


def test_the_space_is_handed_from_system_to_system():
    systems = family(3)
    results, order = solve(systems, ordering="greedy")
    space = None
    for position in order:
        one = systems[position]
        expected, space = gcrodr(
            one.matrix,
            one.rhs,
            preconditioner=build_preconditioner("jacobi", one.matrix),
            recycled=space,
            **OPTIONS,
        )
        assert results[position].value.tobytes() == expected.value.tobytes()
        assert dict(results[position].work) == dict(expected.work)


def test_carrying_the_space_saves_applications_and_its_first_system_saves_none():
    systems = family(8)
    carried, order = solve(systems)
    fresh, _ = solve(systems, carry=False)
    assert applications(carried) < 0.9 * applications(fresh)
    assert carried[order[0]].value.tobytes() == fresh[order[0]].value.tobytes()


def test_without_carrying_the_order_changes_nothing():
    systems = family(5)
    one, other = (solve(systems, carry=False, ordering=ordering)[0] for ordering in ("greedy", "none"))
    assert all(one[i].value.tobytes() == other[i].value.tobytes() for i in range(5))


def test_the_options_of_the_ordering_reach_it():
    systems = family(8)
    orders = {tuple(solve(systems, ordering="shuffled", ordering_options={"seed": s})[1]) for s in range(3)}
    assert len(orders) == 3


def test_a_repeated_run_gives_the_same_bytes():
    systems = family(5)
    one, other = solve(systems)[0], solve(systems)[0]
    assert all(one[i].value.tobytes() == other[i].value.tobytes() for i in range(5))


def test_a_system_without_a_preconditioner_breaks_down_alone():
    systems = family(3, side=6)
    systems[1].matrix = canonical(-poisson(6).toarray())
    results, _ = solve(systems, preconditioner="ic0", solver="deflated_cg", ordering="none")
    assert [results[i].status for i in range(3)] == [Status.CONVERGED, Status.BREAKDOWN, Status.CONVERGED]
    assert np.isnan(results[1].value).all()


def test_a_system_of_nan_does_not_spoil_those_after_it():
    systems = family(4)
    systems[1].rhs = np.full_like(systems[1].rhs, np.nan)
    results, _ = solve(systems, ordering="none")
    assert results[1].status is Status.NOT_FINITE
    assert all(results[i].converged for i in (0, 2, 3))


def test_a_sequence_of_one_is_solved():
    results, order = solve(family(1))
    assert order == [0]
    assert results[0].converged


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ordering": "magic"}, "ordering"),
        ({"recycle": 12}, "recycle"),
        ({"tolerance": -1.0}, "tolerance"),
        ({"preconditioner": "magic"}, "magic"),
        ({"max_iterations": 0}, "max_iterations"),
    ],
)
def test_options_that_are_not_allowed_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        solve(family(2, side=4), **options)


def test_an_unknown_solver_is_refused():
    with pytest.raises(ValueError, match="solver"):
        solve(family(2, side=4), solver="magic")


def test_systems_of_different_sizes_are_refused():
    mixed = [*family(1, side=4), *family(1, side=5)]
    with pytest.raises(ValueError, match="shape"):
        solve(mixed, ordering="none")
