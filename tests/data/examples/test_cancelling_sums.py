import numpy as np
import pytest
from pydantic import ValidationError

from data.examples.cancelling_sums import CancellingSums
from data.problem import make_fields


def test_every_term_has_its_near_opposite():
    terms = make_fields(CancellingSums(length=1000), 0, 0)["terms"]
    positive, negative = np.sort(terms[terms > 0]), np.sort(-terms[terms < 0])
    assert positive.size == negative.size == 500
    np.testing.assert_allclose(negative, positive, rtol=1e-6)
    assert not np.array_equal(negative, positive)


def test_the_sum_is_far_smaller_than_its_terms():
    terms = make_fields(CancellingSums(), 0, 0)["terms"]
    assert 0 < abs(terms.sum()) < 1e-6 * np.abs(terms).sum()


def test_the_magnitudes_spread_over_the_decades_asked_for():
    terms = np.abs(make_fields(CancellingSums(length=10**4, decades=3.0), 0, 0)["terms"])
    assert 0.9 < terms.min() < 1.1
    assert 900 < terms.max() < 1100


def test_an_instance_depends_on_seed_and_index_alone():
    problem = CancellingSums(length=10)
    assert make_fields(problem, 0, 1)["terms"].tobytes() == make_fields(problem, 0, 1)["terms"].tobytes()
    assert make_fields(problem, 0, 1)["terms"].tobytes() != make_fields(problem, 0, 2)["terms"].tobytes()
    assert make_fields(problem, 0, 1)["terms"].tobytes() != make_fields(problem, 1, 1)["terms"].tobytes()


def test_the_fields_are_as_declared_and_assembled():
    problem = CancellingSums(length=10)
    fields = make_fields(problem, 0, 0)
    assert {name: values.shape for name, values in fields.items()} == {"terms": problem.variables()["terms"].shape}
    assert problem.assemble(fields) is fields["terms"]
    assert problem.solution() is None


@pytest.mark.parametrize("parameters", [{"length": 0}, {"length": 3}, {"decades": -1.0}, {"decades": float("nan")}])
def test_impossible_parameters_are_refused(parameters):
    with pytest.raises(ValidationError):
        CancellingSums(**parameters)
