"""What holds for every problem that assembles linear systems, one or one a time step."""

import pickle

import numpy as np
import pytest
import scipy.linalg
from pydantic import ValidationError
from scipy.sparse.linalg import spsolve

from data.evolution import Evolution
from data.linear_system import LinearSystem
from data.problem import make_fields
from data.registry import problem, problems
from data.sampling import Sampling, Split

SMALLEST = {
    "burgers": {"grid": 6, "steps": 3},
    "darcy-3d": {"grid": 4},
    "heat": {"grid": 6, "steps": 3},
    "helmholtz": {"grid": 8, "wave_number": 6.0},
    "helmholtz-absorbing": {"grid": 8, "wave_number": 6.0},
    "navier-stokes": {"grid": 6, "steps": 3},
    "thermal": {"refinement": 1},
}
PDE_PROBLEMS = [name for name, kind in problems().items() if kind.__module__.startswith("data.pde.")]


@pytest.fixture(params=PDE_PROBLEMS)
def small(request):
    return problem(request.param, **SMALLEST.get(request.param, {"grid": 6}))


def systems_of(instance):
    """The system of an instance, or those of all steps of one that evolves."""
    if isinstance(instance, LinearSystem):
        return [instance]
    states, systems = [instance.initial], []
    for _ in range(instance.steps):
        systems.append(instance.system(states))
        states.append(spsolve(systems[-1].matrix.tocsc(), systems[-1].rhs))
    return systems


def size_of_state(small):
    """The unknowns of one system."""
    variable = small.solution()
    return int(np.prod(variable.shape[1:] if variable.dims[0] == "time" else variable.shape))


def same(first, second):
    return first.keys() == second.keys() and all(first[key].tobytes() == second[key].tobytes() for key in first)


def test_an_instance_depends_on_seed_and_index_alone(small):
    forward = [make_fields(small, 0, index) for index in range(3)]
    backward = [make_fields(small, 0, index) for index in reversed(range(3))]
    assert all(same(first, second) for first, second in zip(forward, reversed(backward), strict=True))
    assert not same(forward[0], forward[1])
    assert not same(forward[0], make_fields(small, 1, 0))


@pytest.mark.parametrize("sampling", list(Sampling))
def test_every_sampling_gives_every_split_instances_of_its_own(small, sampling):
    fields = [make_fields(small, 0, index, sampling, split) for split in Split for index in range(2)]
    again = [make_fields(small, 0, index, sampling, split) for split in Split for index in range(2)]
    assert all(same(first, second) for first, second in zip(fields, again, strict=True))
    assert not any(same(fields[i], fields[j]) for i in range(len(fields)) for j in range(i))
    declared = {key: (variable.shape, np.dtype(variable.dtype)) for key, variable in small.variables().items()}
    for instance in fields:
        assert {key: (values.shape, values.dtype) for key, values in instance.items()} == declared
        assert all(np.isfinite(values).all() for values in instance.values())


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


def test_units_are_those_of_coordinates(small):
    assert small.coordinate_units().keys() <= small.coordinates().keys()


def test_the_systems_are_canonical_finite_and_of_the_size_of_their_solution(small):
    size = size_of_state(small)
    for system in systems_of(small.assemble(make_fields(small, 0, 0))):
        assert isinstance(system, LinearSystem)
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


def test_an_evolution_has_as_many_states_as_there_are_times(small):
    instance = small.assemble(make_fields(small, 0, 0))
    assert isinstance(instance, Evolution) == (small.solution().dims[0] == "time")
    if isinstance(instance, Evolution):
        assert small.solution().shape[0] == instance.steps + 1 == small.coordinates()["time"].size
        assert instance.initial.shape == (size_of_state(small),)
        assert instance.initial.dtype == np.float64


def test_instances_can_be_sent_to_another_process(small):
    instance = small.assemble(make_fields(small, 0, 0))
    for first, second in zip(systems_of(instance), systems_of(pickle.loads(pickle.dumps(instance))), strict=True):
        np.testing.assert_array_equal(first.matrix.data, second.matrix.data)
        np.testing.assert_array_equal(first.rhs, second.rhs)


def test_the_flags_are_true(small):
    for index in range(3):
        for system in systems_of(small.assemble(make_fields(small, 0, index))):
            dense = system.matrix.toarray()
            assert system.symmetric == np.allclose(dense, dense.T, rtol=1e-13, atol=1e-15)
            if system.positive_definite:
                assert system.symmetric
                assert scipy.linalg.eigvalsh(dense)[0] > 0.0


def test_assembling_leaves_the_fields_alone_and_can_be_repeated(small):
    fields = make_fields(small, 0, 0)
    before = {key: values.copy() for key, values in fields.items()}
    first, second = (systems_of(small.assemble(fields)) for _ in range(2))
    assert same(fields, before)
    np.testing.assert_array_equal(first[-1].matrix.data, second[-1].matrix.data)
    np.testing.assert_array_equal(first[-1].rhs, second[-1].rhs)


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
