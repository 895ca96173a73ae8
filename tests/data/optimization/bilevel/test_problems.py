"""The bilevel problems as generators: shapes, reproducible bytes, what is random in them and what is refused."""

import numpy as np
import pytest

from data.optimization.bilevel.analytic import CoshBilevel, QuadraticBlocks
from data.optimization.bilevel.hyper_cleaning import DigitsCleaning, digits, sigmoid
from data.optimization.bilevel.recurrent import RecurrentClassification, lstm_features, lstm_pullback
from data.optimization.bilevel.task_cleaning import TaskCleaning
from data.problem import make_fields

PROBLEMS = [
    CoshBilevel(dimension=4),
    QuadraticBlocks(blocks=5),
    DigitsCleaning(training=20, validation=10),
    TaskCleaning(training=20, validation=12, tasks=12, task_training=8, task_validation=6),
    RecurrentClassification(training=9, validation=8, length=5),
]
EVERY = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)


@EVERY
def test_fields_have_the_shapes_that_are_declared_and_the_same_bytes_every_time(problem):
    fields, again, other = (make_fields(problem, 3, index) for index in (1, 1, 2))
    for name, variable in problem.variables().items():
        assert fields[name].shape == variable.shape
        assert fields[name].dtype == variable.dtype
        assert fields[name].tobytes() == again[name].tobytes()
    assert any(fields[name].tobytes() != other[name].tobytes() for name in fields)


@EVERY
def test_starts_fit_the_oracles(problem):
    instance = problem.assemble(make_fields(problem, 0, 0))
    blocks = np.arange(instance.blocks)
    by_x, by_y = instance.upper_gradient(instance.upper_start, instance.lower_start, blocks)
    assert by_x.shape == instance.upper_start.shape
    assert by_y.shape == instance.lower_start.shape
    assert np.isfinite(instance.progress(instance.upper_start, instance.lower_start))


def test_the_cosh_problem_starts_where_it_says_and_its_hessian_grows_with_its_gradient():
    problem = CoshBilevel(dimension=6, distance=2.0)
    instance = problem.assemble(make_fields(problem, 0, 0))
    linear, constant = instance.solution_maps
    minimum = np.linalg.solve(np.eye(6) + linear[0], -constant[0])
    assert np.linalg.norm(instance.upper_start - minimum) == pytest.approx(2.0)
    np.testing.assert_allclose(instance.exact_gradient(minimum), 0.0, atol=1e-12)
    direction = (instance.upper_start - minimum) / 2.0
    curvatures = []
    for distance in (0.0, 1.0, 2.0, 4.0):
        ahead, behind = (instance.exact_gradient(minimum + (distance + h) * direction) for h in (1e-5, -1e-5))
        curvatures.append(np.linalg.norm(ahead - behind) / 2e-5)
    assert curvatures == sorted(curvatures)
    assert curvatures[-1] > 50.0 * curvatures[0]


def test_the_digits_have_the_share_of_random_labels_that_was_asked_for():
    problem = DigitsCleaning(training=1000, validation=300)
    instance = problem.assemble(make_fields(problem, 0, 0))
    fields = make_fields(problem, 0, 0)
    truth = digits()[1][fields["image"][:1000]]
    assert 0.3 < (instance.labels != truth).mean() <= 0.4
    np.testing.assert_array_equal(instance.validation_labels, digits()[1][fields["image"][1000:]])
    assert np.unique(fields["image"]).size == 1300


def test_a_wrong_image_is_wrong_in_every_task_and_others_in_none():
    problem = TaskCleaning(training=60, validation=20, tasks=20, task_training=30, task_validation=10)
    fields = make_fields(problem, 0, 0)
    instance = problem.assemble(fields)
    labels = digits()[1][fields["image"][:60]][fields["member"]]
    right = np.where(labels == (np.arange(20) % 10)[:, None], 1.0, -1.0)
    np.testing.assert_array_equal(instance.signs != right, fields["wrong"][fields["member"]] == 1)
    assert fields["wrong"].sum() == 18
    assert all(np.unique(row).size == 30 for row in fields["member"])


def test_an_lstm_is_that_of_its_equations():
    problem = RecurrentClassification(training=9, validation=8, length=4, hidden=3)
    instance = problem.assemble(make_fields(problem, 0, 0))
    shape, x = instance.shape, instance.upper_start
    split = shape.tokens * shape.embedding
    embedding, gates = x[:split].reshape(shape.tokens, -1), x[split:].reshape(-1, 12)
    for sequence, features in zip(instance.sequences, lstm_features(shape, x, instance.sequences), strict=True):
        hidden, cell = np.zeros(3), np.zeros(3)
        for token in sequence:
            let_in, forget, let_out, candidate = np.split(np.r_[embedding[token], hidden, 1.0] @ gates, 4)
            cell = sigmoid(forget) * cell + sigmoid(let_in) * np.tanh(candidate)
            hidden = sigmoid(let_out) * np.tanh(cell)
        np.testing.assert_allclose(features, np.r_[hidden, 1.0], atol=1e-14)


def test_jax_computes_in_double_precision_and_leaves_no_trace():
    import jax

    problem = RecurrentClassification(training=9, validation=8, length=4, hidden=3)
    instance = problem.assemble(make_fields(problem, 0, 0))
    features = lstm_features(instance.shape, instance.upper_start, instance.sequences)
    pulled = lstm_pullback(instance.shape, instance.upper_start, instance.sequences, features)
    assert features.dtype == pulled.dtype == np.float64
    assert jax.numpy.ones(1).dtype == np.float32


@pytest.mark.parametrize(
    ("kind", "parameters", "words"),
    [
        (CoshBilevel, {"rate": 0.0}, "rate"),
        (CoshBilevel, {"noise": -1.0}, "noise"),
        (QuadraticBlocks, {"blocks": 0}, "blocks"),
        (QuadraticBlocks, {"greatest": 0.5}, "greatest"),
        (DigitsCleaning, {"training": 1700, "validation": 300}, "more than the 1797 images"),
        (DigitsCleaning, {"corrupted": 1.5}, "corrupted"),
        (TaskCleaning, {"task_training": 501}, "must not be more than"),
        (RecurrentClassification, {"length": 1}, "length"),
    ],
)
def test_what_makes_no_sense_is_refused(kind, parameters, words):
    with pytest.raises(ValueError, match=words):
        kind(**parameters)
