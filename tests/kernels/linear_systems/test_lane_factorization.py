import numpy as np
import pytest
import scipy.sparse as sp
from grid_systems import (
    arrow,
    canonical,
    convection_diffusion,
    diffusion,
    poisson,
    random_dominant,
    system,
    tridiagonal,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import spsolve

from kernels.linear_systems.lane_factorization import lane_factorization_sequence, solver
from kernels.linear_systems.lane_factorization.acceleration import Acceleration
from kernels.linear_systems.lane_factorization.exchange import has_same_bits, interleave
from kernels.linear_systems.lane_factorization.solver import LaneSolver
from kernels.linear_systems.lane_factorization.vectors import lane_array
from kernels.linear_systems.validation import is_beyond_rounding
from kernels.result import Status

FINE = settings(max_examples=25, derandomize=True, deadline=None)


def solve(systems, **options):
    pairs = list(lane_factorization_sequence(systems, **options))
    assert [position for position, _ in pairs] == list(range(len(systems)))
    return [result for _, result in pairs]


def helmholtz(side, seed):
    """A shifted Laplacian with eigenvalues on both sides of zero."""
    shift = 0.2 * (1.0 + 0.3 * np.random.default_rng(seed).standard_normal(side**2))
    return canonical(poisson(side) - sp.diags_array(shift))


def wind(side, seed):
    return convection_diffusion(side, 0.9 * np.random.default_rng(seed).random())


def same_pattern(size, seed):
    """Dominant matrices of one random pattern that is not symmetric; the seed sets the values only."""
    matrix = random_dominant(size, 5)
    matrix.data *= np.random.default_rng(seed).uniform(0.9, 1.1, matrix.nnz)
    return matrix


def dense(size, seed):
    random = np.random.default_rng(seed)
    return canonical(random.standard_normal((size, size)) + size * np.eye(size))


FAMILIES = {
    "diffusion": (diffusion, 17),
    "helmholtz": (helmholtz, 15),
    "convection-diffusion": (wind, 16),
    "arrow": (arrow, 300),
    "tridiagonal": (lambda size, seed: canonical(tridiagonal(size, -1.0, 2.5 + seed)), 200),
    "nonsymmetric pattern": (same_pattern, 90),
    "dense": (dense, 45),
    "one unknown": (lambda size, seed: canonical([[1.0 + seed]]), 1),
    "diagonal": (lambda size, seed: canonical(np.diag(1.0 + seed + np.arange(size))), 70),
}


def systems_of(family, count, start=0):
    make, size = FAMILIES[family]
    matrices = [make(size, seed) for seed in range(start, start + count)]
    return [
        system(matrix, np.random.default_rng(100 + seed).standard_normal(matrix.shape[0]))
        for seed, matrix in enumerate(matrices)
    ]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("precision", ["auto", "float64"])
def test_solutions_are_those_of_a_pivoted_factorisation(family, precision):
    systems = systems_of(family, 19)
    for item, result in zip(systems, solve(systems, precision=precision, tolerance=1e-12), strict=True):
        assert result.status is Status.CONVERGED
        expected = np.atleast_1d(spsolve(item.matrix.tocsc(), item.rhs))
        np.testing.assert_allclose(result.value, expected, rtol=1e-8, atol=1e-9 * np.abs(expected).max())
        relative = np.linalg.norm(item.rhs - item.matrix @ result.value) / np.linalg.norm(item.rhs)
        assert relative <= 1e-12
        assert result.history[0] == 1.0
        assert result.history[-1] == pytest.approx(relative, rel=1e-2, abs=1e-14)
        assert result.work["fallbacks"] == 0
        assert result.work["operator_applications"] == result.work["iterations"]


@FINE
@given(
    size=st.integers(1, 40),
    seed=st.integers(0, 1000),
    symmetric=st.booleans(),
    tolerance=st.sampled_from([1e-6, 1e-12]),
)
def test_random_patterns_are_solved(size, seed, symmetric, tolerance):
    matrix = random_dominant(size, seed, symmetric)
    solution = np.random.default_rng(seed).standard_normal(size)
    [result] = solve([system(matrix, matrix @ solution)], tolerance=tolerance)
    assert result.converged
    np.testing.assert_allclose(result.value, solution, rtol=0, atol=1e3 * tolerance)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("family", ["helmholtz", "convection-diffusion", "nonsymmetric pattern"])
def test_a_system_has_the_same_solution_bit_by_bit_alone_and_in_company(family, precision):
    systems = systems_of(family, 17)
    together = solve(systems, precision=precision)
    for position in (0, 3, 15, 16):
        [alone] = solve([systems[position]], precision=precision)
        np.testing.assert_array_equal(alone.value, together[position].value)
        np.testing.assert_array_equal(alone.history, together[position].history)


def test_a_lane_that_is_not_finite_leaves_the_others_as_they_were():
    systems = systems_of("diffusion", 6)
    clean = solve(systems)
    poisoned = list(systems)
    broken = systems[2].matrix.copy()
    broken.data[7] = np.nan
    poisoned[2] = system(broken, systems[2].rhs)
    poisoned[4] = system(systems[4].matrix, np.full_like(systems[4].rhs, np.inf))
    results = solve(poisoned)
    assert [result.status for result in results].count(Status.NOT_FINITE) == 2
    assert results[2].status is results[4].status is Status.NOT_FINITE
    for position in (0, 1, 3, 5):
        np.testing.assert_array_equal(results[position].value, clean[position].value)


def test_symmetric_and_other_matrices_of_one_pattern_mix():
    systems = [
        item for pair in zip(systems_of("diffusion", 6), systems_of("diffusion", 6, 6), strict=True) for item in pair
    ]
    for item in systems[1::2]:
        item.matrix.data[1] *= 0.5
    for item, result in zip(systems, solve(systems), strict=True):
        assert result.converged
        assert result.work["fallbacks"] == 0
        np.testing.assert_allclose(result.value, spsolve(item.matrix.tocsc(), item.rhs), rtol=1e-5, atol=1e-7)


def test_a_change_of_pattern_starts_a_new_group():
    systems = [item for family in ("diffusion", "helmholtz", "dense", "diffusion") for item in systems_of(family, 3)]
    for item, result in zip(systems, solve(systems), strict=True):
        assert result.converged
        assert np.linalg.norm(item.rhs - item.matrix @ result.value) <= 1e-8 * np.linalg.norm(item.rhs)


@pytest.mark.parametrize("lanes", [1, 5, 16])
def test_the_number_of_lanes_does_not_change_a_solution(lanes):
    systems = systems_of("diffusion", 7)
    for result, expected in zip(solve(systems, lanes=lanes), solve(systems), strict=True):
        np.testing.assert_array_equal(result.value, expected.value)


def test_zero_pivots_are_solved_by_a_pivoted_factorisation_and_counted():
    # every leading minor of odd order is zero in the natural order, and a zero diagonal in any
    swap = canonical(sp.kron(sp.eye_array(10), np.array([[0.0, 1.0], [1.0, 0.0]])))
    regular = swap.copy()
    good = canonical(sp.eye_array(20))
    rhs = np.arange(1.0, 21.0)
    results = solve([system(swap, rhs), system(good, rhs), system(regular, 2.0 * rhs)])
    assert [result.converged for result in results] == [True] * 3
    assert [result.work["fallbacks"] for result in results] == [1, 0, 1]
    assert results[0].work["factorizations"] == 3
    np.testing.assert_allclose(results[0].value, rhs.reshape(-1, 2)[:, ::-1].ravel())


def test_a_singular_matrix_breaks_down_and_a_zero_rhs_has_the_zero_solution():
    singular = canonical(np.array([[1.0, 1.0], [1.0, 1.0]]))
    results = solve([system(singular, np.array([1.0, 2.0])), system(singular, np.zeros(2))])
    assert results[0].status is Status.BREAKDOWN
    assert results[1].status is Status.CONVERGED
    np.testing.assert_array_equal(results[1].value, 0.0)
    assert results[1].work["factorizations"] == 0


def high_contrast(exponent, seed=0):
    """A fourth-order operator with a coefficient between exp(-exponent) and exp(exponent)."""
    laplacian = poisson(24)
    scale = np.exp(np.random.default_rng(seed).uniform(-exponent, exponent, laplacian.shape[0]))
    return canonical(laplacian @ sp.diags_array(scale) @ laplacian)


def test_single_precision_that_does_not_suffice_is_replaced_by_double():
    matrix = high_contrast(8.0)
    rhs = np.random.default_rng(1).standard_normal(matrix.shape[0])
    [single] = solve([system(matrix, rhs)], precision="float32")
    [auto] = solve([system(matrix, rhs)])
    assert single.work["fallbacks"] == 1
    assert auto.converged
    assert auto.work["fallbacks"] == 0
    assert auto.work["factorizations"] == 2


def near_resonance(distance, seed):
    """A shifted Laplacian whose eigenvalue of least magnitude is ``distance``."""
    matrix = helmholtz(20, seed)
    eigenvalues = np.linalg.eigvalsh(matrix.toarray())
    nearest = eigenvalues[np.abs(eigenvalues).argmin()]
    return canonical(matrix - (nearest - distance) * sp.eye_array(matrix.shape[0]))


def resonant_systems(count, distance=1e-6):
    rhs = np.random.default_rng(7).standard_normal((count, 400))
    return [system(near_resonance(distance, seed), rhs[seed]) for seed in range(count)]


def test_near_a_resonance_acceleration_spares_the_factorisation_in_double_precision():
    tolerance = 1e-8
    systems = resonant_systems(12)
    results = solve(systems, tolerance=tolerance)
    accelerated = [result for result in results if result.work["operator_applications"] > result.work["iterations"]]
    assert accelerated
    for item, result in zip(systems, results, strict=True):
        assert result.converged
        assert result.work["factorizations"] == 1
        assert np.linalg.norm(item.rhs - item.matrix @ result.value) <= tolerance * np.linalg.norm(item.rhs)
        expected = spsolve(item.matrix.tocsc(), item.rhs)
        error = np.linalg.norm(result.value - expected) / np.linalg.norm(expected)
        # the residual bounds the error by the condition number
        assert error <= 2.0 * tolerance * np.linalg.cond(item.matrix.toarray())


def test_an_accelerated_system_has_the_same_solution_bit_by_bit_alone_and_in_company():
    systems = resonant_systems(12)
    together = solve(systems)
    for position in (0, 5, 11):
        [alone] = solve([systems[position]])
        np.testing.assert_array_equal(alone.value, together[position].value)
        np.testing.assert_array_equal(alone.history, together[position].history)


@FINE
@given(size=st.integers(2, 30), steps=st.integers(1, 6), seed=st.integers(0, 1000))
def test_acceleration_finds_the_least_residual_in_the_span_of_the_corrections(size, steps, seed):
    random = np.random.default_rng(seed)
    matrix, rhs = random.standard_normal((size, size)), random.standard_normal(size)
    corrections = random.standard_normal((min(steps, size - 1), size))
    acceleration = Acceleration(rhs, len(corrections))
    solution = np.zeros(size)
    for count, correction in enumerate(corrections, 1):
        solution = solution + correction
        residual = rhs - matrix @ solution
        acceleration.minimise(solution, residual)
        span = (matrix @ corrections[:count].T).reshape(size, count)
        least = rhs - span @ np.linalg.lstsq(span, rhs)[0]
        np.testing.assert_allclose(residual, least, rtol=0, atol=1e-8 * np.linalg.norm(rhs))
        np.testing.assert_allclose(rhs - matrix @ solution, residual, rtol=0, atol=1e-8 * np.linalg.norm(rhs))


def test_acceleration_leaves_a_solution_as_it_is_when_a_correction_changes_nothing():
    acceleration = Acceleration(np.ones(3), 2)
    solution, residual = np.zeros(3), np.ones(3)
    acceleration.minimise(solution, residual)
    np.testing.assert_array_equal(solution, 0.0)
    np.testing.assert_array_equal(residual, 1.0)


# factors that are kept


def bytes_of(results):
    return [(result.value.tobytes(), result.history.tobytes(), result.status) for result in results]


def systems_of_one(matrix, count, seed=3):
    rhs = np.random.default_rng(seed).standard_normal((count, matrix.shape[0]))
    return [system(matrix.copy(), one) for one in rhs]


def factorizations(results):
    return [result.work["factorizations"] for result in results]


@pytest.mark.parametrize("precision", ["auto", "float32", "float64"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_matrix_is_factorised_once_and_its_solutions_are_those_of_a_mixed_group_bit_by_bit(family, precision):
    make, size = FAMILIES[family]
    systems = systems_of_one(make(size, 0), 19)
    together = solve(systems, precision=precision)
    assert factorizations(together) == [1] + [0] * 18
    others = systems_of(family, 3, start=20)
    for position in (0, 1, 15, 18):
        alone, mixed = (solve(company, precision=precision) for company in ([systems[position]], others))
        company = solve([*others, systems[position]], precision=precision)
        assert bytes_of(alone) == bytes_of([company[-1]]) == bytes_of([together[position]])
        assert bytes_of(mixed) == bytes_of(company[:-1])
        assert company[-1].work["factorizations"] == 1


def test_kept_factors_serve_later_groups_and_sequences():
    matrix, other = diffusion(12, 0), diffusion(12, 1)
    keeping = LaneSolver(lanes=4)
    first = [result for _, result in keeping.solve(systems_of_one(matrix, 1), 1e-8)]
    second = [result for _, result in keeping.solve(systems_of_one(matrix, 6), 1e-8)]
    third = [result for _, result in keeping.solve([*systems_of_one(other, 1), *systems_of_one(matrix, 2)], 1e-8)]
    assert factorizations(first + second + third) == [1, *[0] * 6, 1, 0, 0]
    assert bytes_of(second) == bytes_of(solve(systems_of_one(matrix, 6)))


def test_matrices_in_turn_are_told_apart():
    matrices = [diffusion(12, seed) for seed in (0, 0, 0, 1, 1, 0, 2, 2, 2, 0, 0)]
    rhs = np.random.default_rng(4).standard_normal((len(matrices), 144))
    systems = [system(*pair) for pair in zip(matrices, rhs, strict=True)]
    for lanes in (1, 2, 3, 16):
        for item, result in zip(systems, solve(systems, lanes=lanes), strict=True):
            assert bytes_of([result]) == bytes_of(solve([item]))


def test_a_matrix_that_its_owner_changes_in_place_is_factorised_again():
    matrix = diffusion(12, 0)
    keeping, rhs = LaneSolver(), np.ones(144)
    for entry in (3.0, 4.0, 5.0):
        matrix.data[0] = entry
        [(_, result)] = keeping.solve([system(matrix, rhs)], 1e-8)
        assert result.work["factorizations"] == 1
        np.testing.assert_allclose(matrix @ result.value, rhs, rtol=0, atol=1e-6)


def test_equal_matrices_whose_refinement_is_slow_are_accelerated_as_ever():
    matrix = near_resonance(1e-7, 5)
    systems = systems_of_one(matrix, 6)
    results = solve(systems)
    assert bytes_of(results) == [found for item in systems for found in bytes_of(solve([item]))]
    assert any(result.work["operator_applications"] > result.work["iterations"] for result in results)


def test_kept_factors_in_double_precision_replace_those_in_single():
    systems = systems_of_one(high_contrast(7.0), 20)
    results = solve(systems)
    assert bytes_of(results) == [found for item in systems for found in bytes_of(solve([item]))]
    # single precision is tried again, double is kept
    assert factorizations(results) == [2] + [1] * 19


def test_nan_in_a_repeated_matrix_is_found_each_time():
    matrix = diffusion(6, 0)
    matrix.data[4] = np.nan
    systems = [*systems_of_one(matrix, 3), *systems_of_one(diffusion(6, 0), 2)]
    statuses = [result.status for result in solve(systems, lanes=2)]
    assert statuses == [Status.NOT_FINITE] * 3 + [Status.CONVERGED] * 2


@FINE
@given(size=st.integers(0, 600), place=st.integers(0, 599), bit=st.integers(0, 63))
def test_arrays_that_differ_in_one_bit_are_not_the_same(size, place, bit):
    first = np.random.default_rng(size).standard_normal(size)
    second = first.copy()
    assert has_same_bits(first, second)
    assert not has_same_bits(first, np.ones(size + 1))
    if place < size:
        second.view(np.uint64)[place] ^= np.uint64(1) << np.uint64(bit)
        assert not has_same_bits(first, second)


THOUSAND = {
    "diffusion": lambda seed: diffusion(20, seed),
    "helmholtz": lambda seed: helmholtz(20, seed),
    "near a resonance": lambda seed: near_resonance(10.0 ** -(seed % 12), seed),
    "convection-diffusion": lambda seed: wind(20, seed),
    "contrast": lambda seed: high_contrast(seed % 13, seed),
    "nonsymmetric pattern": lambda seed: same_pattern(200, seed),
    "not dominant": lambda seed: canonical(dense(30, seed) - 29.5 * sp.eye_array(30)),
}


@pytest.mark.slow
@pytest.mark.parametrize("family", THOUSAND)
def test_each_of_a_thousand_systems_has_the_residual_asked_for_or_says_that_it_has_not(family):
    for seed in range(0, 1000, 100):
        matrices = [THOUSAND[family](member) for member in range(seed, seed + 100)]
        rhs = np.random.default_rng(seed).standard_normal((100, matrices[0].shape[0]))
        for matrix, vector, result in zip(
            matrices, rhs, solve([system(*pair) for pair in zip(matrices, rhs, strict=True)]), strict=True
        ):
            relative = np.linalg.norm(vector - matrix @ result.value) / np.linalg.norm(vector)
            # two ways to add up a residual differ by the rounding errors of its terms
            rounding = 1e-15 * np.linalg.norm(abs(matrix) @ abs(result.value)) / np.linalg.norm(vector)
            assert result.history[-1] == pytest.approx(relative, rel=1e-6, abs=rounding)
            assert result.converged == (result.history[-1] <= 1e-8)
            assert result.status in {Status.CONVERGED, Status.STAGNATED}
            # only what SuperLU could not solve either may be missed, and what no solver can
            given_up = result.work["fallbacks"] == 1 or is_beyond_rounding(matrix, vector, result.value, 1e-8)
            assert result.converged or given_up


def test_values_beyond_single_precision_are_solved():
    matrix, rhs = poisson(9), np.ones(81)
    for scale in (1e-300, 1e-200, 1e-50, 1e50, 1e200, 1e300):
        [result] = solve([system(canonical(scale * matrix), scale * rhs)])
        assert result.converged
        np.testing.assert_allclose(result.value, spsolve(matrix.tocsc(), rhs), rtol=1e-6)


def test_a_rhs_among_the_subnormal_numbers_ends_with_a_status():
    [result] = solve([system(poisson(5), np.full(25, 1e-315))])
    assert result.status in (Status.CONVERGED, Status.STAGNATED)
    assert result.converged == (result.history[-1] <= 1e-8)


def test_factors_too_large_for_the_memory_allowed_are_left_to_superlu(monkeypatch):
    monkeypatch.setattr(solver, "MOST_FACTOR_BYTES", 1000)
    [result] = solve(systems_of("diffusion", 1))
    assert result.converged
    assert result.work["fallbacks"] == 1


@pytest.mark.parametrize(
    "options", [{"lanes": 0}, {"lanes": 17}, {"precision": "half"}, {"tolerance": 0.0}, {"tolerance": np.nan}]
)
def test_options_out_of_range_are_refused_by_name(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        lane_factorization_sequence([], **options)


@pytest.mark.parametrize(
    ("matrix", "rhs", "message"),
    [
        (sp.csr_array((2, 3)), np.ones(2), "square"),
        (sp.csc_array(np.eye(2)), np.ones(2), "csr_array"),
        (sp.csr_array(np.eye(2, dtype=np.float32)), np.ones(2), "float64"),
        (canonical(np.eye(2)), np.ones(3), "rhs"),
        (canonical(np.eye(2)), np.ones(2, dtype=np.float32), "rhs"),
    ],
)
def test_malformed_systems_are_refused(matrix, rhs, message):
    with pytest.raises(ValueError, match=message):
        solve([system(matrix, rhs)])


def test_no_systems_give_no_results():
    assert solve([]) == []


def test_lanes_hold_one_array_each():
    columns = tuple(np.random.default_rng(lane).standard_normal(37) for lane in range(16))
    lanes = lane_array(37, np.float32)
    assert lanes.ctypes.data % 64 == 0
    interleave(columns, lanes)
    np.testing.assert_array_equal(lanes, np.stack(columns, axis=1).astype(np.float32))
