from dataclasses import replace

import numpy as np
import pytest
from direction_networks import identity_network, random_network, system_with
from scipy.sparse.linalg import spsolve
from systems import same_history

from kernels.linear_systems.cg import cg
from kernels.linear_systems.conjugate_directions.deep import deep_conjugate_directions, network_preconditioner
from kernels.result import Status


def test_a_network_that_returns_the_residual_makes_it_cg():
    system = system_with(identity_network())
    result = deep_conjugate_directions(system, tolerance=1e-6)
    reference = cg(system.matrix, system.rhs, tolerance=1e-6)
    assert result.converged
    same_history(result.history, reference.history, rtol=1e-3)
    assert result.work["preconditioner_applications"] == result.work["iterations"]


@pytest.mark.parametrize("conjugated", [0, 1, 2, 20])
def test_the_solution_is_that_of_a_direct_solver_and_zero_in_the_pockets(conjugated):
    system = system_with(identity_network())
    result = deep_conjugate_directions(system, conjugated=conjugated, tolerance=1e-10, max_iterations=5000)
    assert result.converged
    exact = spsolve(system.matrix.tocsc(), system.rhs)
    np.testing.assert_allclose(result.value, exact, atol=1e-7 * np.abs(exact).max())
    assert not result.value[~system.liquid.ravel()].any()


def test_the_network_sees_the_residual_at_unit_length_and_proposes_nothing_in_the_pockets():
    system = system_with(random_network(4, 2))
    solve = network_preconditioner(system.network, system.liquid).solve
    proposal = solve(system.rhs)
    np.testing.assert_allclose(solve(1e-60 * system.rhs), proposal, rtol=1e-5, atol=1e-6 * np.abs(proposal).max())
    assert proposal[system.liquid.ravel()].all()
    assert not proposal[~system.liquid.ravel()].any()
    assert not solve(np.zeros(256)).any()


@pytest.mark.parametrize("unit", [2.0**-300, 2.0**300])
def test_the_units_of_the_system_are_irrelevant(unit):
    system = system_with(identity_network())
    result = deep_conjugate_directions(replace(system, rhs=unit * system.rhs), tolerance=1e-6)
    np.testing.assert_array_equal(result.value, unit * deep_conjugate_directions(system, tolerance=1e-6).value)


def test_a_right_hand_side_that_is_not_finite_is_reported():
    system = system_with(identity_network())
    result = deep_conjugate_directions(replace(system, rhs=np.full(256, np.nan)))
    assert result.status is Status.NOT_FINITE


def test_a_field_of_another_kind_or_length_is_refused():
    with pytest.raises(ValueError, match="liquid must be a two-dimensional array of bool, not float64"):
        network_preconditioner(identity_network(), np.ones((4, 4)))
    with pytest.raises(ValueError, match="liquid must be a two-dimensional array of bool"):
        network_preconditioner(identity_network(), np.ones(16, np.bool_))
    with pytest.raises(ValueError, match="residual must be an array of shape"):
        network_preconditioner(identity_network(), np.ones((4, 4), np.bool_)).solve(np.ones(9))
