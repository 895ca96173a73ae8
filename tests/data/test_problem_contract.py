"""What holds for every problem that assembles linear systems."""

import pickle

import numpy as np
import pytest
import scipy.linalg
from pydantic import ValidationError
from scipy.sparse.linalg import spsolve

from data.linear_system import LinearSystem
from data.problem import make_fields
from data.registry import problem, problems

SMALLEST = {"helmholtz": {"grid": 8, "wave_number": 6.0}, "thermal": {"refinement": 1}}
PDE_PROBLEMS = [name for name, kind in problems().items() if kind.__module__.startswith("data.pde.")]


@pytest.fixture(params=PDE_PROBLEMS)
def small(request):
    return problem(request.param, **SMALLEST.get(request.param, {"grid": 6}))


def same(first, second):
    return first.keys() == second.keys() and all(first[key].tobytes() == second[key].tobytes() for key in first)


def test_an_instance_depends_on_seed_and_index_alone(small):
    forward = [make_fields(small, 0, index) for index in range(3)]
    backward = [make_fields(small, 0, index) for index in reversed(range(3))]
    assert all(same(first, second) for first, second in zip(forward, reversed(backward), strict=True))
    assert not same(forward[0], forward[1])
    assert not same(forward[0], make_fields(small, 1, 0))


def test_the_fields_are_as_declared(small):
    declared, fields = small.variables(), make_fields(small, 0, 0)
    assert declared.keys() == fields.keys()
    for key, variable in declared.items():
        assert len(variable.dims) == len(variable.shape)
        assert fields[key].shape == variable.shape
        assert fields[key].dtype == np.dtype(variable.dtype)
        assert np.isfinite(fields[key]).all()


def test_a_dimension_has_one_size(small):
    sizes = {}
    for variable in [*small.variables().values(), small.solution()]:
        for dim, size in zip(variable.dims, variable.shape, strict=True):
            assert sizes.setdefault(dim, size) == size


def test_the_coordinates_fit_the_dimensions_they_are_named_after(small):
    sizes = {}
    for variable in [*small.variables().values(), small.solution()]:
        sizes |= dict(zip(variable.dims, variable.shape, strict=True))
    for key, values in small.coordinates().items():
        assert values.dtype == np.float64
        assert values.shape == (sizes.get(key, sizes.get("node")),)


def test_the_system_is_canonical_finite_and_of_the_size_of_its_solution(small):
    system = small.assemble(make_fields(small, 0, 0))
    assert isinstance(system, LinearSystem)
    size = int(np.prod(small.solution().shape))
    matrix = system.matrix
    assert matrix.shape == (size, size)
    assert system.rhs.shape == (size,)
    assert matrix.dtype == system.rhs.dtype == system.parameters.dtype == np.float64
    assert matrix.indices.dtype == matrix.indptr.dtype == np.int32
    rows = np.repeat(np.arange(size), np.diff(matrix.indptr))
    assert (np.diff(rows.astype(np.int64) * size + matrix.indices) > 0).all()
    assert np.isfinite(matrix.data).all()
    assert system.parameters.ndim == 1
    assert np.isfinite(spsolve(matrix.tocsc(), system.rhs)).all()


def test_the_flags_are_true(small):
    for index in range(3):
        system = small.assemble(make_fields(small, 0, index))
        dense = system.matrix.toarray()
        assert system.symmetric == np.allclose(dense, dense.T, rtol=1e-13, atol=1e-15)
        if system.positive_definite:
            assert system.symmetric
            assert scipy.linalg.eigvalsh(dense)[0] > 0.0


def test_assembling_leaves_the_fields_alone_and_can_be_repeated(small):
    fields = make_fields(small, 0, 0)
    before = {key: values.copy() for key, values in fields.items()}
    first, second = small.assemble(fields), small.assemble(fields)
    assert same(fields, before)
    np.testing.assert_array_equal(first.matrix.data, second.matrix.data)
    np.testing.assert_array_equal(first.rhs, second.rhs)


def test_systems_of_different_instances_have_different_sort_keys(small):
    first, second = (small.assemble(make_fields(small, 0, index)).parameters for index in (0, 1))
    assert first.shape == second.shape
    assert not np.array_equal(first, second)


def test_the_problem_says_what_it_is(small):
    assert small.summary
    assert small.reference
    assert "\n" not in small.summary
    assert all(field.description for field in type(small).model_fields.values())


def test_the_observed_order_is_a_plain_number_that_does_not_depend_on_the_size(small):
    verification = small.verification()
    assert all(type(value) is float for value in verification.values())
    assert verification["observed_order"] == type(small)().verification()["observed_order"]


def test_the_problem_is_frozen_and_survives_pickle_and_json(small):
    with pytest.raises(ValidationError):
        small.grid = 10
    assert pickle.loads(pickle.dumps(small)) == small
    assert type(small).model_validate_json(small.model_dump_json()) == small
