import numpy as np
import pytest
from pydantic import ValidationError

from data.problem import make_fields
from data.transport.random_assignment import RandomAssignment


def test_costs_are_uniform_and_masses_equal():
    problem = RandomAssignment(points=200, eta=10.0)
    instance = problem.assemble(make_fields(problem, 0, 0))
    assert instance.cost.shape == problem.variables()["cost"].shape
    np.testing.assert_allclose(np.quantile(instance.cost, [0.0, 0.25, 0.5, 1.0]), [0.0, 0.25, 0.5, 1.0], atol=0.01)
    assert np.abs(np.corrcoef(instance.cost)[np.triu_indices(200, 1)]).max() < 0.4
    assert instance.source.tolist() == instance.target.tolist() == [1 / 200] * 200
    assert instance.regularisation == 0.1


def test_an_instance_depends_on_seed_and_index_alone():
    problem = RandomAssignment(points=5)
    costs = [make_fields(problem, seed, index)["cost"] for seed, index in [(0, 1), (0, 1), (0, 2), (1, 1)]]
    assert np.array_equal(costs[0], costs[1])
    assert not np.array_equal(costs[0], costs[2])
    assert not np.array_equal(costs[0], costs[3])


@pytest.mark.parametrize("parameters", [{"points": 1}, {"eta": -1.0}, {"eta": float("nan")}, {"tasks": 3}])
def test_impossible_parameters_are_refused(parameters):
    with pytest.raises(ValidationError):
        RandomAssignment(**parameters)
