import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import kstest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from data.compression.digit_tokens import DigitTokens
from data.compression.uniform_tokens import UniformTokens
from data.problem import make_fields

PROBLEMS = [UniformTokens(tokens=30, bound=2.0), UniformTokens(tokens=30, order=2), DigitTokens(tokens=30, bound=2.0)]


@pytest.fixture(params=PROBLEMS, ids=lambda problem: f"{problem.name} of order {problem.order}")
def problem(request):
    return request.param


def test_the_fields_are_as_declared_and_assembled(problem):
    fields, declared = make_fields(problem, 0, 0), problem.variables()
    assert {name: values.shape for name, values in fields.items()} == {name: v.shape for name, v in declared.items()}
    assert declared["keys"].shape == (problem.order - 1, 30, 6)
    instance = problem.assemble(fields)
    for name, values in fields.items():
        assert values.dtype == np.float64
        np.testing.assert_array_equal(getattr(instance, name), values)


def test_an_instance_depends_on_seed_and_index_alone(problem):
    first, again, other, seeded = (make_fields(problem, *key) for key in ((0, 1), (0, 1), (0, 2), (1, 1)))
    for name in first:
        assert first[name].tobytes() == again[name].tobytes()
        assert first[name].tobytes() not in (other[name].tobytes(), seeded[name].tobytes())


def test_the_entries_keep_their_bounds(problem):
    fields = make_fields(problem, 0, 0)
    assert max(np.abs(fields[name]).max() for name in ("queries", "keys")) <= problem.bound * (1 + 1e-15)
    assert np.abs(fields["values"]).max() <= 1.0 + 1e-15


def test_uniform_tokens_are_uniform():
    fields = make_fields(UniformTokens(tokens=2000, bound=1.5), 0, 0)
    for name, bound in (("queries", 1.5), ("keys", 1.5), ("values", 1.0)):
        assert kstest(fields[name].ravel(), "uniform", (-bound, 2 * bound)).pvalue > 1e-3


def test_digit_tokens_are_rotated_principal_components():
    everyone = DigitTokens(tokens=1797, dimension=5)
    fields = make_fields(everyone, 0, 0)
    spectrum = np.sqrt(1797 * PCA(5).fit(load_digits().data).explained_variance_)
    for matrix in (fields["queries"], *fields["keys"], *fields["values"]):
        ours = np.linalg.svd(matrix, compute_uv=False)
        np.testing.assert_allclose(ours / ours[0], spectrum / spectrum[0], rtol=1e-10)
        assert np.abs(matrix).max() == pytest.approx(1.0, rel=1e-14)


def test_a_token_is_the_same_image_in_queries_keys_and_values():
    fields = make_fields(DigitTokens(tokens=40), 0, 0)
    lengths = [np.linalg.norm(matrix, axis=1) for matrix in (fields["queries"], *fields["keys"], *fields["values"])]
    for other in lengths[1:]:
        np.testing.assert_allclose(other / other[0], lengths[0] / lengths[0][0], rtol=1e-10)


@pytest.mark.parametrize("kind", [UniformTokens, DigitTokens])
@pytest.mark.parametrize(
    "parameters", [{"tokens": 0}, {"dimension": 0}, {"bound": 0.0}, {"bound": float("nan")}, {"order": 1}, {"no": 1}]
)
def test_impossible_parameters_are_refused(kind, parameters):
    with pytest.raises(ValidationError):
        kind(**parameters)


def test_there_are_no_more_digits_than_images():
    with pytest.raises(ValidationError):
        DigitTokens(tokens=1798)
