import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.datasets import load_digits

from data.low_rank.digits import DigitsCompletion
from data.low_rank.synthetic import CompletionPhases, LowRankCompletion, orthonormal_factor
from data.problem import make_fields

PROBLEMS = [
    LowRankCompletion(rows=40, columns=30, rank=3, entries=500, noise=0.1, condition_number=5.0, spikiness=0.3),
    CompletionPhases(side=20, least_rank=1, greatest_rank=3, least_oversampling=1.2, greatest_oversampling=2.0),
    DigitsCompletion(),
]


@pytest.fixture(params=PROBLEMS, ids=lambda problem: problem.name)
def problem(request):
    return request.param


def instance(problem, index=0, seed=0):
    return problem.assemble(make_fields(problem, seed, index))


def test_an_instance_depends_on_seed_and_index_alone(problem):
    assert instance(problem, 3).values.tobytes() == instance(problem, 3).values.tobytes()
    assert instance(problem, 3).values.tobytes() != instance(problem, 4).values.tobytes()
    assert instance(problem, 3).values.tobytes() != instance(problem, 3, seed=1).values.tobytes()


def test_the_fields_are_as_declared(problem):
    fields = make_fields(problem, 0, 0)
    declared = {name: (variable.shape, np.dtype(variable.dtype)) for name, variable in problem.variables().items()}
    assert {name: (values.shape, values.dtype) for name, values in fields.items()} == declared


def test_every_entry_is_observed_once_and_is_that_of_the_matrix(problem):
    matrix = instance(problem)
    assert np.unique(matrix.rows * matrix.shape[1] + matrix.columns).size == matrix.values.size
    deviation = matrix.values - matrix.truth[matrix.rows, matrix.columns]
    assert np.sqrt((deviation**2).mean()) == pytest.approx(getattr(problem, "noise", 0.0), rel=0.2, abs=1e-12)


def test_the_matrix_has_its_rank_its_condition_number_and_entries_of_size_one():
    truth = instance(PROBLEMS[0]).truth
    values = np.linalg.svd(truth, compute_uv=False)
    assert values[3] < 1e-12 * values[0]
    assert values[0] / values[2] == pytest.approx(5.0)
    assert (truth**2).mean() == pytest.approx(1.0)


def test_a_phase_has_the_oversampling_and_one_of_the_ranks_asked_for():
    matrices = [instance(PROBLEMS[1], index) for index in range(20)]
    assert {matrix.rank for matrix in matrices} == {1, 2, 3}
    assert all(1.19 <= matrix.oversampling <= 2.01 for matrix in matrices)
    assert all(np.linalg.matrix_rank(matrix.truth) == matrix.rank for matrix in matrices)


@pytest.mark.parametrize("spikiness", [0.0, 1.0])
def test_spiky_factors_are_orthonormal_and_coherent(spikiness):
    factor = orthonormal_factor(400, 4, spikiness, np.random.default_rng(0))
    np.testing.assert_allclose(factor.T @ factor, np.eye(4), atol=1e-12)
    coherence = 100.0 * (factor**2).sum(axis=1).max()
    assert (coherence > 20.0) == (spikiness > 0.0)


def test_the_digits_are_those_of_scikit_learn():
    matrix = instance(DigitsCompletion())
    np.testing.assert_array_equal(matrix.truth, load_digits().data)
    assert matrix.values.size == 1797 * 32


def test_the_docstring_states_how_far_digits_are_from_rank_twelve():
    values = np.linalg.svd(load_digits().data - load_digits().data.mean(axis=0), compute_uv=False)
    assert (values[12:] ** 2).sum() / (values**2).sum() == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize(
    ("kind", "parameters", "words"),
    [
        (
            LowRankCompletion,
            {"rank": 31, "rows": 40, "columns": 30, "entries": 10},
            "rank=31 exceeds the smaller side, 30",
        ),
        (LowRankCompletion, {"rows": 10, "columns": 10, "entries": 101}, "entries=101 exceeds the 100"),
        (LowRankCompletion, {"condition_number": 0.5}, "condition_number"),
        (LowRankCompletion, {"noise": np.nan}, "noise"),
        (CompletionPhases, {"greatest_rank": 1}, r"greatest_rank=1 must lie in 2..100"),
        (CompletionPhases, {"least_oversampling": 5.0}, r"greatest_oversampling=4.0 must reach 5.0"),
        (CompletionPhases, {"greatest_oversampling": 9.0}, "greatest_oversampling=9.0 asks for 17100 entries"),
        (DigitsCompletion, {"rank": 65}, "rank"),
        (DigitsCompletion, {"observed_share": 0.0}, "observed_share"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(kind, parameters, words):
    with pytest.raises(ValidationError, match=words):
        kind(**parameters)
