import numpy as np
import pytest
from pydantic import ValidationError

from data.problem import make_fields
from data.sketching.lp_regression import LpRegressionProblem, RandMedianRegression

FAMILIES = {
    name: LpRegressionProblem(rows=120, columns=6, family=name) for name in ("gaussian", "spiky", "cauchy", "blocks")
}
PROBLEMS = {**FAMILIES, "rand": RandMedianRegression(rows=300)}


@pytest.fixture(params=PROBLEMS.values(), ids=PROBLEMS)
def problem(request):
    return request.param


def matrix(name):
    return make_fields(FAMILIES[name], 0, 0)["matrix"]


def test_an_instance_depends_on_seed_and_index_alone(problem):
    first, again = (problem.assemble(make_fields(problem, 0, 1)) for _ in range(2))
    assert first.matrix.tobytes() == again.matrix.tobytes()
    assert first.rhs.tobytes() == again.rhs.tobytes()
    others = [problem.assemble(make_fields(problem, seed, index)) for seed, index in ((0, 2), (1, 1))]
    assert all(other.matrix.tobytes() != first.matrix.tobytes() for other in others)


def test_the_fields_are_as_declared(problem):
    fields = make_fields(problem, 0, 0)
    declared = {key: (variable.shape, np.dtype(variable.dtype)) for key, variable in problem.variables().items()}
    assert {key: (values.shape, values.dtype) for key, values in fields.items()} == declared


def test_every_matrix_has_full_column_rank_and_finite_data(problem):
    instance = problem.assemble(make_fields(problem, 0, 0))
    assert np.linalg.matrix_rank(instance.matrix) == instance.matrix.shape[1]
    assert np.isfinite(instance.rhs).all()
    assert instance.p == 1.0


def test_spikes_are_a_multiple_of_the_identity():
    np.testing.assert_array_equal(matrix("spiky")[:6], 30.0 * np.eye(6))
    assert np.abs(matrix("spiky")[6:]).max() < 6.0


def test_blocks_do_not_overlap_and_every_unit_vector_has_as_many_copies():
    blocks = matrix("blocks")
    assert not blocks[:60, 3:].any()
    assert not blocks[60:, :3].any()
    np.testing.assert_array_equal(blocks[60:, 3:].sum(axis=0), [20.0, 20.0, 20.0])


def test_cauchy_rows_differ_more_than_gaussian_ones():
    spread = {name: np.ptp(np.log(np.linalg.norm(matrix(name), axis=1))) for name in ("gaussian", "cauchy")}
    assert spread["cauchy"] > 2.0 * spread["gaussian"]


def test_the_exponent_is_that_of_the_problem():
    problem = LpRegressionProblem(rows=40, columns=2, p=3.0)
    assert problem.assemble(make_fields(problem, 0, 0)).p == 3.0


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (LpRegressionProblem, {"rows": 39, "columns": 10}),
        (LpRegressionProblem, {"columns": 1}),
        (LpRegressionProblem, {"p": 0.5}),
        (LpRegressionProblem, {"p": float("nan")}),
        (LpRegressionProblem, {"family": "dense"}),
        (RandMedianRegression, {"rows": 100}),
    ],
)
def test_impossible_parameters_are_refused(kind, parameters):
    with pytest.raises(ValidationError):
        kind(**parameters)
