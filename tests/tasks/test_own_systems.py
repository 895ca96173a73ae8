"""Sequences of systems as a problem: what is stored of them, and methods that never see the bad ones."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from sequences import COUNT, SIZE, save_matrix_market, save_npz, save_script, save_zarr, stacked, systems_of

from data.problem import make_fields
from data.systems.system import BadSystemError, Defect
from data.validation import InputError, validated
from flows.solvers import PreconditionerName, Solver, make_solver
from kernels.linear_systems.direct import sparse_lu_sequence
from kernels.result import Status
from tasks.contenders import run_contender
from tasks.own_systems import OwnSystems, sound_systems_only
from tasks.provenance import source_digest

PAIRS = systems_of(stacked())


@pytest.fixture
def sequence(tmp_path):
    return OwnSystems(systems=save_npz(tmp_path / "a.npz"))


def defects(problem):
    return [Defect(list(Defect)[int(make_fields(problem, 0, i)["defect"])]) for i in range(problem.available())]


def test_an_instance_is_a_system_of_the_sequence(sequence):
    assert sequence.available() == COUNT
    for index, (matrix, rhs) in enumerate(PAIRS):
        system = sequence.assemble(make_fields(sequence, 0, index))
        np.testing.assert_array_equal(system.matrix.toarray(), matrix.toarray())
        np.testing.assert_array_equal(system.rhs, rhs)
        np.testing.assert_array_equal(system.parameters, system.matrix.data)


def test_all_systems_share_the_arrays_of_their_pattern(sequence):
    first, second = (sequence.assemble(make_fields(sequence, 0, index)).matrix for index in (0, 3))
    assert np.shares_memory(first.indices, second.indices)
    assert np.shares_memory(first.indptr, second.indptr)


def test_only_the_defect_and_the_solution_are_stored(sequence):
    assert sequence.variables().keys() == {"defect"}
    assert all(str(defect) in sequence.variables()["defect"].long_name for defect in Defect)
    assert sequence.solution().shape == (SIZE,)


def test_the_problem_survives_pickle_and_is_not_read_again(sequence, tmp_path):
    copy = pickle.loads(pickle.dumps(sequence))
    (tmp_path / "a.npz").rename(tmp_path / "b.npz")
    assert (copy.content, copy.first) == (sequence.content, sequence.first)


def test_every_format_holds_the_same_sequence(tmp_path):
    places = [
        save_npz(tmp_path / "a.npz"),
        save_zarr(tmp_path / "a.zarr"),
        save_matrix_market(tmp_path / "pairs", PAIRS),
    ]
    for place in places:
        problem = OwnSystems(systems=place)
        entries = [make_fields(problem, 0, index)["entries"] for index in range(problem.available())]
        np.testing.assert_array_equal(entries, stacked()["data"])


def test_a_changed_input_is_another_problem_at_the_same_place(tmp_path):
    before = OwnSystems(systems=save_npz(tmp_path / "a.npz"))
    after = OwnSystems(systems=save_npz(tmp_path / "a.npz", rhs=np.ones(SIZE)))
    assert before.content != after.content
    np.testing.assert_array_equal(make_fields(after, 0, 1)["rhs"], np.ones(SIZE))


def spoiled():
    """Six pairs, of which only those in the places 1 and 5 can be solved."""
    pairs = list(PAIRS)
    matrix, rhs = PAIRS[0]
    dense = matrix.toarray()
    emptied = dense.copy()
    emptied[3] = 0.0
    pairs[0] = sp.csr_array(emptied), rhs
    pairs[2] = sp.csr_array(dense + 0.1), rhs
    pairs[3] = sp.csr_array(dense[:-1, :-1]), rhs[:-1]
    pairs[4] = sp.csr_array(emptied), rhs
    return pairs


def test_each_bad_system_has_its_defect_and_the_first_good_one_sets_the_pattern(tmp_path):
    problem = OwnSystems(systems=save_matrix_market(tmp_path / "pairs", spoiled()))
    assert problem.first == 1
    assert defects(problem) == [
        Defect.STRUCTURALLY_SINGULAR,
        Defect.NONE,
        Defect.PATTERN_CHANGED,
        Defect.SIZE_CHANGED,
        Defect.STRUCTURALLY_SINGULAR,
        Defect.NONE,
    ]
    assert problem.assemble(make_fields(problem, 0, 2)) is None
    with pytest.raises(BadSystemError, match="256 entries where the first has 64"):
        problem.check(2)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("absent.npz", "absent.npz does not exist"),
        ("all.npz", "holds no system that can be solved; system 0 is NaN or infinity"),
        ("singular.npz", "holds no system that can be solved; system 0 is structurally singular"),
    ],
)
def test_a_sequence_without_a_system_to_solve_is_refused_in_one_line(tmp_path, place, words):
    save_npz(tmp_path / "all.npz", data=np.full((2, 64), np.nan), rhs=np.ones(SIZE))
    save_npz(tmp_path / "singular.npz", indices=np.zeros(64, int))
    with pytest.raises(InputError) as caught:
        validated(OwnSystems, {"systems": str(tmp_path / place)})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


CONTENDERS = [
    make_solver(solver, 1e-8, PreconditionerName.ILU0)
    for solver in (
        Solver.AUTO,
        Solver.LANES,
        Solver.DIRECT,
        Solver.SKR,
        Solver.GMRES,
        Solver.BICGSTAB,
        Solver.AMG_GMRES,
    )
]


@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda contender: contender.name)
def test_bad_systems_fail_and_the_others_are_solved(tmp_path, contender):
    data = stacked()["data"]
    data[[0, 3]] = np.nan
    problem = OwnSystems(systems=save_npz(tmp_path / "a.npz", data=data))
    instances = [problem.assemble(make_fields(problem, 0, index)) for index in range(COUNT)]
    outcomes = run_contender(sound_systems_only(contender), instances, 0, 0)
    for index, outcome in enumerate(outcomes):
        if index in {0, 3}:
            assert outcome.result.status is Status.FAILED
        else:
            matrix, rhs = PAIRS[index]
            assert outcome.result.converged
            assert np.linalg.norm(rhs - matrix @ outcome.result.value) <= 1e-8 * np.linalg.norm(rhs)


@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda contender: contender.name)
def test_a_shard_of_bad_systems_alone_fails_quietly(contender):
    outcomes = run_contender(sound_systems_only(contender), [None, None], 0, 0)
    assert [outcome.result.status for outcome in outcomes] == [Status.FAILED] * 2


def test_a_guarded_method_has_the_source_of_the_method_and_survives_pickle():
    guarded = sound_systems_only(make_solver(Solver.DIRECT, 1e-8, PreconditionerName.NONE))
    assert source_digest(guarded.method) == source_digest(sparse_lu_sequence)
    assert pickle.loads(pickle.dumps(guarded)).method.func is sparse_lu_sequence


def test_a_generator_is_a_sequence_of_systems(tmp_path):
    problem = OwnSystems(systems=save_script(tmp_path / "mine.py"))
    assert problem.available() == 6
    assert defects(problem) == [Defect.NONE] * 6
