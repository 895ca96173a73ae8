import pickle

import numpy as np
import pytest
import scipy.linalg
from scipy import stats

from data.pde.poisson import poisson_matrix
from data.problem import make_fields
from data.registry import problem
from data.sampling import Sampling
from data.streams.shifted_laplacian import ShiftedLaplacian, smallest_eigenvalue
from data.validation import InputError


def shifts_and_norms(stream, count=400):
    fields = [make_fields(stream, 0, index) for index in range(count)]
    return np.array([one["shift"] for one in fields]), np.array([np.linalg.norm(one["source"]) for one in fields])


def test_an_instance_depends_on_seed_and_index_alone():
    stream = ShiftedLaplacian()
    first, again, other = make_fields(stream, 0, 3), make_fields(stream, 0, 3), make_fields(stream, 0, 4)
    assert all(first[key].tobytes() == again[key].tobytes() for key in first)
    assert not any(np.array_equal(first[key], other[key]) for key in first)


def test_the_fields_are_as_declared():
    stream = ShiftedLaplacian(grid=5)
    fields = make_fields(stream, 0, 0)
    assert fields.keys() == stream.variables().keys()
    assert all(fields[key].shape == variable.shape for key, variable in stream.variables().items())
    assert stream.solution().shape == (4, 4)
    assert all(values.shape == (4,) for values in stream.coordinates().values())


def test_the_matrix_is_the_laplacian_plus_the_shift():
    stream = ShiftedLaplacian(grid=6)
    fields = make_fields(stream, 0, 0)
    system = stream.assemble(fields)
    expected = poisson_matrix(6).toarray() + fields["shift"] * np.eye(25)
    np.testing.assert_array_equal(system.matrix.toarray(), expected)
    assert system.matrix.has_canonical_format
    assert system.symmetric
    assert system.positive_definite
    np.testing.assert_array_equal(system.parameters, [fields["shift"]])
    np.testing.assert_array_equal(system.rhs, fields["source"].ravel())


def test_assembling_leaves_the_laplacian_that_all_share_alone():
    before = poisson_matrix(11).data.copy()
    stream = ShiftedLaplacian()
    systems = [stream.assemble(make_fields(stream, 0, index)) for index in range(2)]
    np.testing.assert_array_equal(poisson_matrix(11).data, before)
    assert not np.array_equal(systems[0].matrix.data, systems[1].matrix.data)


@pytest.mark.parametrize("grid", [2, 4, 11, 20])
def test_the_smallest_eigenvalue_is_the_closed_form(grid):
    assert smallest_eigenvalue(grid) == pytest.approx(scipy.linalg.eigvalsh(poisson_matrix(grid).toarray())[0])


def test_the_systems_of_the_paper_are_positive_definite():
    stream = ShiftedLaplacian()
    worst = stream.assemble({"shift": np.array(stream.least_shift), "source": np.zeros((10, 10))})
    assert scipy.linalg.eigvalsh(worst.matrix.toarray())[0] == pytest.approx(0.162028 - 0.15, abs=1e-6)


@pytest.mark.parametrize(("alpha", "beta"), [(0.5, 1.5), (2.0, 6.0)])
def test_the_shifts_follow_the_scaled_beta_law(alpha, beta):
    shifts, _ = shifts_and_norms(ShiftedLaplacian(alpha=alpha, beta=beta))
    assert ((shifts >= -0.15) & (shifts <= 0.45)).all()
    assert stats.kstest(shifts, stats.beta(alpha, beta, loc=-0.15, scale=0.6).cdf).pvalue > 0.01


@pytest.mark.parametrize("sampling", [Sampling.SOBOL, Sampling.LATTICE])
def test_low_discrepancy_points_cover_the_law_of_the_shifts_evenly(sampling):
    shifts = [float(make_fields(ShiftedLaplacian(grid=4), 0, index, sampling)["shift"]) for index in range(64)]
    assert stats.kstest(shifts, stats.beta(0.5, 1.5, loc=-0.15, scale=0.6).cdf).statistic < 2 / 64


def test_the_right_hand_sides_are_a_gaussian_cut_off_at_the_root_of_its_length():
    _, norms = shifts_and_norms(ShiftedLaplacian())
    assert norms.max() <= 10.0
    square = stats.chi2(100)
    truncated = stats.kstest(norms**2, lambda x: np.minimum(square.cdf(x) / square.cdf(100.0), 1.0))
    assert truncated.pvalue > 0.01


def test_shifts_at_the_ends_of_the_interval_stay_inside():
    shifts, _ = shifts_and_norms(ShiftedLaplacian(grid=4, alpha=1e-3, beta=1e-3), count=50)
    assert -0.15 <= shifts.min() < -0.1499
    assert 0.4499 < shifts.max() <= 0.45


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"least_shift": -0.163}, "least_shift=-0.163 makes the matrix indefinite: on 11 cells per side"),
        ({"grid": 12}, "must exceed -0.136"),
        ({"least_shift": 0.5}, "greatest_shift=0.45 must exceed least_shift=0.5"),
        ({"alpha": 0.0}, "alpha=0.0"),
        ({"grid": 1}, "grid=1"),
        ({"beta": float("nan")}, "beta=nan"),
    ],
)
def test_parameters_that_cannot_be_are_refused_in_one_line(parameters, words):
    with pytest.raises(InputError, match=words) as caught:
        problem("shifted-laplacian", **parameters)
    assert "\n" not in str(caught.value)


def test_the_problem_survives_pickle_and_json():
    stream = ShiftedLaplacian(alpha=2.0, beta=6.0)
    assert pickle.loads(pickle.dumps(stream)) == stream
    assert ShiftedLaplacian.model_validate_json(stream.model_dump_json()) == stream
