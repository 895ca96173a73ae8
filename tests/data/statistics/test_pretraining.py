import numpy as np
import pytest
from pydantic import ValidationError

from data.problem import instance_generator
from data.statistics.pretraining import ContrastivePairs, FactorModel, GaussianMixture, PretrainingDigits

PROBLEMS = [
    FactorModel(dimension=6, labelled=5, unlabelled=100),
    FactorModel(dimension=6, labelled=5, unlabelled=4),
    ContrastivePairs(dimension=4, unlabelled=30, labelled=5),
    GaussianMixture(components=3, dimension=4, unlabelled=20, labelled=6, tested=10),
    PretrainingDigits(),
]


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_instances_have_the_declared_shapes_and_repeat(problem):
    fields, again = (problem.draw(instance_generator(3, 1)) for _ in range(2))
    for name, variable in problem.variables().items():
        assert np.shape(fields[name]) == variable.shape, name
        np.testing.assert_array_equal(fields[name], again[name])


@pytest.mark.parametrize("unlabelled", [40, 4])
def test_second_moments_have_the_mean_and_the_spread_of_samples(unlabelled):
    problem = FactorModel(dimension=5, rank=1, unlabelled=unlabelled, labelled=1)
    draws = [problem.draw(instance_generator(0, i)) for i in range(600)]
    errors = np.array([d["covariance"] - (d["loadings"] @ d["loadings"].T + np.eye(5)) for d in draws])
    scale = np.sqrt(2.0 / unlabelled)
    assert np.abs(errors.mean(0)).max() < 4 * 1.5 * scale / np.sqrt(len(draws))
    variances = np.array([np.diag(d["loadings"] @ d["loadings"].T) + 1.0 for d in draws])
    diagonal = errors[:, range(5), range(5)] / variances
    assert diagonal.std() == pytest.approx(scale, rel=0.1)


@pytest.mark.parametrize("outside", [0.0, 2.0])
def test_the_target_has_no_excess_risk_and_every_other_predictor_has_what_it_costs(outside):
    problem = FactorModel(dimension=4, rank=1, labelled=200_000, unlabelled=10, outside=outside)
    task = problem.assemble(problem.draw(instance_generator(0, 0)))
    assert task.excess_risk(task.target) == 0.0
    other = task.target + np.array([0.3, 0.0, -0.2, 0.1])
    losses = [np.mean((task.labels - task.inputs @ predictor) ** 2) for predictor in (other, task.target)]
    assert losses[0] - losses[1] == pytest.approx(task.excess_risk(other), abs=0.02)


def test_the_oracle_of_the_mixture_is_the_nearest_mean():
    problem = GaussianMixture(components=3, dimension=4, separation=20.0, unlabelled=10, labelled=3, tested=50)
    task = problem.assemble(problem.draw(instance_generator(0, 0)))
    np.testing.assert_array_equal(task.oracle_labels, task.test_labels)
    assert task.excess_risk(task.test_labels) == 0.0
    assert task.excess_risk(task.test_labels + 1.0) == 1.0


def test_digits_are_split_without_overlap():
    problem = PretrainingDigits(labelled=100)
    task = problem.assemble(problem.draw(instance_generator(0, 0)))
    assert (len(task.inputs), len(task.unlabelled), len(task.test_inputs)) == (100, 1300, 397)
    order = problem.draw(instance_generator(0, 0))["order"]
    assert sorted(order) == list(range(1797))


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (FactorModel, {"rank": 50}),
        (ContrastivePairs, {"rank": 10}),
        (PretrainingDigits, {"labelled": 500, "seen": 400}),
        (GaussianMixture, {"components": 1}),
        (FactorModel, {"labelled": 0}),
    ],
)
def test_parameters_that_do_not_fit_are_refused(kind, values):
    with pytest.raises(ValidationError):
        kind(**values)
