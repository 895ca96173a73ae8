import numpy as np
import pytest
from pydantic import ValidationError

from data.problem import make_fields
from data.sketching.real_tables import draw_rand_people, rand_health_insurance, standardised_rand_rows
from data.sketching.regression import NoisyRegression, RandHealthRegression, SpikyRegression

PROBLEMS = {
    "spiky": SpikyRegression(rows=128, columns=8, spikes=3),
    "equal": NoisyRegression(rows=100, columns=5),
    "pareto": NoisyRegression(rows=100, columns=5, row_scales="pareto"),
    "rand": RandHealthRegression(rows=300),
}


@pytest.fixture(params=PROBLEMS.values(), ids=PROBLEMS)
def problem(request):
    return request.param


def instance(problem, index=0, seed=0):
    return problem.assemble(make_fields(problem, seed, index))


def test_an_instance_depends_on_seed_and_index_alone(problem):
    first, second = instance(problem, 1), instance(problem, 1)
    assert first.matrix.tobytes() == second.matrix.tobytes()
    assert first.rhs.tobytes() == second.rhs.tobytes()
    assert instance(problem, 2).rhs.tobytes() != first.rhs.tobytes() != instance(problem, 1, seed=1).rhs.tobytes()


def test_the_fields_are_as_declared(problem):
    fields = make_fields(problem, 0, 0)
    declared = {key: (variable.shape, np.dtype(variable.dtype)) for key, variable in problem.variables().items()}
    assert {key: (values.shape, values.dtype) for key, values in fields.items()} == declared
    assert problem.solution() is None


def test_what_is_known_of_the_answer_is_that_of_the_library(problem):
    made = instance(problem)
    solution, squares, rank, singular_values = np.linalg.lstsq(made.matrix, made.rhs)
    assert rank == made.matrix.shape[1]
    np.testing.assert_allclose(made.solution, solution, rtol=1e-9)
    assert made.residual_norm == pytest.approx(np.sqrt(squares[0]))
    assert made.smallest_singular_value == pytest.approx(singular_values[-1])


def test_the_design_of_synthetic_problems_is_fixed():
    for name in ("spiky", "equal", "pareto"):
        assert instance(PROBLEMS[name], 0).matrix is instance(PROBLEMS[name], 1).matrix
    other = NoisyRegression(rows=100, columns=5, design=1)
    assert not np.array_equal(instance(other).matrix, instance(PROBLEMS["equal"]).matrix)


def test_the_residual_of_spikes_lies_on_light_rows():
    problem = PROBLEMS["spiky"]
    fields, made = make_fields(problem, 0, 0), instance(problem)
    residual = made.rhs - made.matrix @ made.solution
    assert (fields["spike_rows"] >= 8).all()
    assert np.unique(fields["spike_rows"]).size == 3
    np.testing.assert_allclose(residual[fields["spike_rows"]], fields["spike_heights"], atol=0.02)
    assert made.residual_norm == pytest.approx(1.0, abs=0.01)
    assert np.linalg.norm(made.matrix - np.eye(128, 8), axis=0) == pytest.approx(0.01, rel=0.3)


def test_pareto_scales_make_some_rows_heavy():
    def largest_row(problem):
        norms = np.linalg.norm(instance(problem).matrix, axis=1)
        return norms.max() / np.median(norms)

    assert largest_row(PROBLEMS["equal"]) < 3 < largest_row(PROBLEMS["pareto"])


def test_the_real_design_is_standardised_and_its_people_are_different():
    fields, made = make_fields(PROBLEMS["rand"], 0, 0), instance(PROBLEMS["rand"])
    assert np.unique(fields["people"]).size == 300
    np.testing.assert_allclose(made.matrix.mean(axis=0), np.eye(10)[0], atol=1e-12)
    np.testing.assert_allclose(made.matrix[:, 1:].std(axis=0), 1.0)
    assert (made.rhs >= 0).all()
    assert (made.rhs == np.round(made.rhs)).all()


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (SpikyRegression, {"rows": 8, "columns": 8}),
        (SpikyRegression, {"rows": 16, "columns": 8, "spikes": 9}),
        (SpikyRegression, {"noise": 0.0}),
        (NoisyRegression, {"columns": 0}),
        (NoisyRegression, {"row_scales": "cauchy"}),
        (RandHealthRegression, {"rows": 20191}),
    ],
)
def test_impossible_parameters_are_refused(kind, parameters):
    with pytest.raises(ValidationError):
        kind(**parameters)


def test_people_are_drawn_again_where_all_have_one_covariate_in_common():
    covariates = rand_health_insurance()[:, 1:]

    def first_draw_is_degenerate(seed):
        people = np.random.default_rng(seed).choice(len(covariates), 200, replace=False)
        return not np.ptp(covariates[people], axis=0).all()

    seed = next(seed for seed in range(1000) if first_draw_is_degenerate(seed))
    matrix, _ = standardised_rand_rows(draw_rand_people(np.random.default_rng(seed), 200))
    assert np.linalg.matrix_rank(matrix) == 10
    regular = next(seed for seed in range(1000) if not first_draw_is_degenerate(seed))
    expected = np.random.default_rng(regular).choice(len(covariates), 200, replace=False)
    assert (draw_rand_people(np.random.default_rng(regular), 200) == expected).all()
