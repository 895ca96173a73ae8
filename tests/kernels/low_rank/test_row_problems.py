import numpy as np
import pytest
import scipy.sparse as sp

from kernels.low_rank.row_problems import solve_rows_approximately, solve_rows_exactly

RANK = 4


def entries_of(height, width, share, seed=0):
    random = np.random.default_rng(seed)
    observed = np.where(random.random((height, width)) < share, random.standard_normal((height, width)), 0.0)
    return sp.csr_array(observed), random.standard_normal((width, RANK)), random


def by_lstsq(entries, factor):
    rows = [
        np.linalg.lstsq(factor[entries.indices[a:b]], entries.data[a:b])[0]
        for a, b in zip(entries.indptr, entries.indptr[1:], strict=False)
    ]
    return np.array(rows)


def approximately(entries, factor, random, *, tolerance=1e-10, sketch_rows=4 * RANK, from_sketch=True, **options):
    start = options.get("start", np.zeros((entries.shape[0], RANK)))
    buckets = random.integers(0, max(sketch_rows, 1), factor.shape[0])
    signs = 2.0 * random.integers(0, 2, factor.shape[0]) - 1.0
    return solve_rows_approximately(
        *(entries.indptr, entries.indices, entries.data, factor, start, buckets, signs),
        *(sketch_rows, from_sketch, tolerance, options.get("max_steps", 100)),
    )


def test_the_exact_solutions_are_those_of_lapack():
    entries, factor, _ = entries_of(30, 40, 0.5)
    solution, residual, _ = solve_rows_exactly(entries.indptr, entries.indices, entries.data, factor)
    np.testing.assert_allclose(solution, by_lstsq(entries, factor), rtol=1e-9, atol=1e-11)
    fitted = (solution @ factor.T)[entries.nonzero()]
    assert residual == pytest.approx(((entries.data - fitted) ** 2).sum(), rel=1e-9)


@pytest.mark.parametrize(("sketch_rows", "from_sketch"), [(16, True), (16, False), (0, False), (1000, True)])
def test_the_approximate_solutions_approach_those_of_lapack(sketch_rows, from_sketch):
    entries, factor, random = entries_of(30, 80, 0.6)
    solution, *_ = approximately(entries, factor, random, sketch_rows=sketch_rows, from_sketch=from_sketch)
    np.testing.assert_allclose(solution, by_lstsq(entries, factor), rtol=1e-7, atol=1e-8)


def test_a_smaller_tolerance_costs_more_steps_and_leaves_a_smaller_error():
    entries, factor, random = entries_of(20, 100, 0.7)
    exact = by_lstsq(entries, factor)
    errors, costs = [], []
    for tolerance in (1e-1, 1e-3, 1e-6, 1e-9):
        solution, _, _, steps = approximately(entries, factor, random, tolerance=tolerance, from_sketch=False)
        errors.append(np.linalg.norm(solution - exact))
        costs.append(steps)
    assert costs == sorted(costs)
    assert errors[0] > 10 * errors[1] > 1e4 * errors[-1]


def test_the_sketch_preconditions_an_ill_conditioned_factor():
    entries, factor, random = entries_of(40, 200, 0.8)
    factor = factor * 10.0 ** -np.arange(RANK)
    limited = {"tolerance": 1e-12, "from_sketch": False, "max_steps": 12}
    with_sketch, *_ = approximately(entries, factor, random, **limited, sketch_rows=16 * RANK)
    without, *_ = approximately(entries, factor, random, **{**limited, "max_steps": 3}, sketch_rows=0)
    exact = by_lstsq(entries, factor)
    assert np.linalg.norm(with_sketch - exact) < 1e-3 * np.linalg.norm(without - exact)


def test_the_warm_solution_takes_no_step():
    entries, factor, random = entries_of(30, 40, 0.5)
    exact = by_lstsq(entries, factor)
    _, _, _, steps = approximately(
        entries, factor, random, start=exact, from_sketch=False, sketch_rows=0, tolerance=1e-6
    )
    assert steps == 0


def test_a_problem_no_larger_than_its_sketch_is_solved_by_it():
    entries, factor, random = entries_of(10, 15, 0.8)
    solution, _, _, steps = approximately(entries, factor, random, tolerance=1e-8)
    assert steps == 0
    np.testing.assert_allclose(solution, by_lstsq(entries, factor), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("entries_in_row", [0, 2])
def test_an_underdetermined_row_is_interpolated(entries_in_row):
    random = np.random.default_rng(3)
    factor = random.standard_normal((10, RANK))
    observed = np.zeros((3, 10))
    observed[1, :entries_in_row] = [3.0, -2.0][:entries_in_row]
    observed[0] = observed[2] = factor @ np.arange(RANK)
    entries = sp.csr_array(observed)
    for solution, residual, *_ in (
        solve_rows_exactly(entries.indptr, entries.indices, entries.data, factor),
        approximately(entries, factor, random),
    ):
        assert np.isfinite(solution).all()
        assert residual < 1e-16
        np.testing.assert_allclose(solution[1] @ factor[:entries_in_row].T, observed[1, :entries_in_row], atol=1e-8)


def test_the_work_of_exact_solves_is_that_of_their_normal_equations():
    entries, factor, _ = entries_of(7, 20, 0.9)
    _, _, multiply_adds = solve_rows_exactly(entries.indptr, entries.indices, entries.data, factor)
    per_row = RANK**3 / 6 + RANK**2
    assert multiply_adds == pytest.approx(entries.nnz * (RANK * (RANK + 1) / 2 + 2 * RANK) + 7 * per_row)
