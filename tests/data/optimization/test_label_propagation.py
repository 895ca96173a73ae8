import numpy as np
import pytest
import scipy.sparse as sp
from pydantic import ValidationError
from scipy.linalg import eigvalsh
from scipy.sparse.linalg import spsolve

from data.optimization.label_propagation import (
    LatticeLabels,
    MoonsLabels,
    label_system,
    lattice_graph,
    neighbour_graph,
)
from data.problem import make_fields

PROBLEMS = [LatticeLabels(side=8), MoonsLabels(points=120)]


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_instances_are_as_declared_and_depend_on_seed_and_index_alone(problem):
    fields, again, other = make_fields(problem, 0, 1), make_fields(problem, 0, 1), make_fields(problem, 0, 2)
    declared = {key: (variable.shape, np.dtype(variable.dtype)) for key, variable in problem.variables().items()}
    assert {key: (values.shape, values.dtype) for key, values in fields.items()} == declared
    assert all(np.array_equal(fields[key], again[key]) for key in fields)
    assert not np.array_equal(fields["labels"], other["labels"]) or not np.array_equal(fields["nodes"], other["nodes"])
    assert np.unique(fields["nodes"]).size == fields["nodes"].size


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_the_matrix_is_symmetric_positive_definite_and_canonical(problem):
    for index in range(4):
        system = problem.assemble(make_fields(problem, 0, index))
        dense = system.matrix.toarray()
        assert np.array_equal(dense, dense.T)
        assert eigvalsh(dense)[0] > 0.0
        assert system.matrix.has_canonical_format
        assert system.matrix.dtype == system.rhs.dtype == np.float64


def test_the_solution_minimises_the_energy_of_all_edges():
    random = np.random.default_rng(0)
    graph = lattice_graph(5)
    labelled = np.array([3, 17, 20])
    labels = random.standard_normal(3)
    system = label_system(graph, labelled, labels)
    solution = np.empty(25)
    solution[labelled] = labels
    free = np.setdiff1d(np.arange(25), labelled)
    solution[free] = spsolve(system.matrix.tocsc(), system.rhs)
    rows, columns = sp.triu(graph).nonzero()

    def energy(values):
        return 0.5 * np.sum((values[rows] - values[columns]) ** 2)

    for node in free:
        for shift in (-1e-3, 1e-3):
            moved = solution.copy()
            moved[node] += shift
            assert energy(moved) > energy(solution)


def test_values_lie_between_the_labels():
    fields = make_fields(PROBLEMS[0], 0, 0)
    system = PROBLEMS[0].assemble(fields)
    solution = spsolve(system.matrix.tocsc(), system.rhs)
    assert fields["labels"].min() - 1e-9 <= solution.min()
    assert solution.max() <= fields["labels"].max() + 1e-9


def test_inner_nodes_of_a_lattice_have_four_neighbours_and_corners_two():
    degrees = lattice_graph(4).sum(axis=1).reshape(4, 4)
    assert degrees.tolist() == [[2, 3, 3, 2], [3, 4, 4, 3], [3, 4, 4, 3], [2, 3, 3, 2]]


def test_points_are_joined_to_their_nearest_in_either_direction():
    graph = neighbour_graph(np.array([[0.0, 0.0], [1.0, 0.0], [2.5, 0.0]]), 1).toarray()
    assert graph.tolist() == [[0, 1, 0], [1, 0, 1], [0, 1, 0]]


def test_propagated_labels_tell_the_moons_apart():
    problem = MoonsLabels(points=400, noise=0.05)
    fields = make_fields(problem, 0, 0)
    system = problem.assemble(fields)
    solution = spsolve(system.matrix.tocsc(), system.rhs)
    moons = np.delete(np.repeat([-1.0, 1.0], 200), fields["nodes"])
    assert (np.sign(solution) == moons).mean() > 0.95


@pytest.mark.parametrize("parameters", [{"side": 1}, {"side": 5000}, {"labelled": 0.0}, {"labelled": 1.0}])
def test_bad_parameters_of_a_lattice_are_refused(parameters):
    with pytest.raises(ValidationError):
        LatticeLabels(**parameters)


@pytest.mark.parametrize("parameters", [{"points": 21}, {"neighbours": 0}, {"noise": -1.0}])
def test_bad_parameters_of_moons_are_refused(parameters):
    with pytest.raises(ValidationError):
        MoonsLabels(**parameters)
