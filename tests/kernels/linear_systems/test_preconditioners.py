import numpy as np
import pytest
import scipy.sparse as sp
from grid_systems import canonical, convection_diffusion, poisson, random_dominant, tridiagonal
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import LinearOperator, cg, gmres, spilu

from kernels.linear_systems.preconditioners import PRECONDITIONERS, FactorizationError, build_preconditioner
from kernels.linear_systems.preconditioners.ic0 import ic0
from kernels.linear_systems.preconditioners.ilu0 import ilu0
from kernels.linear_systems.preconditioners.ilut import ilut

EVERY_NAME = list(PRECONDITIONERS)
EXACT_BLOCKS = {"blocks": 3, "inner": "lu"}


def as_dense(apply, size):
    return np.column_stack([apply(column) for column in np.eye(size)])


def dense_factors(factors):
    combined = sp.csr_array((factors.values, factors.indices, factors.indptr)).toarray()
    return np.tril(combined, -1) + np.eye(len(combined)), np.triu(combined)


@pytest.mark.parametrize("name", [*EVERY_NAME, "exact blocks"])
@settings(max_examples=8, derandomize=True, deadline=None)
@given(size=st.integers(4, 40), seed=st.integers(0, 1000))
def test_solve_and_multiply_are_inverses_of_each_other(name, size, seed):
    matrix = random_dominant(size, seed, symmetric=name == "ic0")
    built = (
        build_preconditioner("block-jacobi", matrix, **EXACT_BLOCKS)
        if name == "exact blocks"
        else build_preconditioner(name, matrix, **({"blocks": 3} if name == "block-jacobi" else {}))
    )
    vector = np.random.default_rng(seed).standard_normal(size)
    original = vector.copy()
    np.testing.assert_allclose(built.multiply(built.solve(vector)), vector, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(built.solve(built.multiply(vector)), vector, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(vector, original)


@settings(max_examples=15, derandomize=True, deadline=None)
@given(size=st.integers(1, 40), seed=st.integers(0, 1000))
def test_ilu0_reproduces_the_matrix_on_its_pattern(size, seed):
    matrix = random_dominant(size, seed)
    factors = ilu0(matrix)
    lower, upper = dense_factors(factors)
    pattern = matrix.toarray() != 0
    np.testing.assert_allclose((lower @ upper)[pattern], matrix.toarray()[pattern], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(as_dense(factors.multiply, size), lower @ upper, atol=1e-12)


def test_ilu0_takes_a_stored_zero_on_the_diagonal_that_elimination_fills():
    matrix = canonical(np.array([[2.0, 1.0], [1.0, 5.0]]))
    matrix.data[3] = 0.0
    lower, upper = dense_factors(ilu0(matrix))
    np.testing.assert_allclose(lower @ upper, [[2.0, 1.0], [1.0, 0.0]])


@pytest.mark.parametrize("size", [1, 2, 60])
def test_ic0_of_a_tridiagonal_matrix_is_its_cholesky_factor(size):
    matrix = canonical(tridiagonal(size, diagonal=2.5))
    factor = ic0(matrix)
    assert factor.shift == 0.0
    np.testing.assert_allclose(factor.lower.toarray(), np.linalg.cholesky(matrix.toarray()), atol=1e-14)


def test_ic0_of_a_symmetric_matrix_is_its_ilu0():
    matrix = poisson(9)
    vector = np.random.default_rng(0).standard_normal(81)
    np.testing.assert_allclose(ic0(matrix).solve(vector), ilu0(matrix).solve(vector), rtol=1e-12)


def test_ic0_shifts_the_diagonal_where_a_positive_definite_matrix_breaks_down():
    # Kershaw's example (1978): positive definite, but a pivot of IC(0) is negative.
    matrix = canonical(np.array([[3.0, -2, 0, 2], [-2, 3, -2, 0], [0, -2, 3, -2], [2, 0, -2, 3]]))
    assert np.linalg.eigvalsh(matrix.toarray()).min() > 0
    factor = ic0(matrix)
    assert factor.shift > 0.0
    shifted = matrix.toarray() + factor.shift * np.diag(matrix.diagonal())
    pattern = matrix.toarray() != 0
    np.testing.assert_allclose(as_dense(factor.multiply, 4)[pattern], shifted[pattern], atol=1e-12)


@pytest.mark.parametrize("omega", [0.6, 1.0, 1.7])
@pytest.mark.parametrize("matrix", [poisson(5), convection_diffusion(5)], ids=["symmetric", "nonsymmetric"])
def test_ssor_is_its_textbook_formula(matrix, omega):
    dense = matrix.toarray()
    diagonal, lower, upper = np.diag(np.diag(dense)), np.tril(dense, -1), np.triu(dense, 1)
    expected = omega / (2 - omega) * (diagonal / omega + lower) @ np.linalg.inv(diagonal) @ (diagonal / omega + upper)
    built = build_preconditioner("ssor", matrix, omega=omega)
    np.testing.assert_allclose(as_dense(built.multiply, len(dense)), expected, atol=1e-12)


def test_one_ssor_solve_is_a_forward_and_a_backward_sweep_from_zero():
    omega, matrix = 1.3, convection_diffusion(6)
    rhs = np.random.default_rng(1).standard_normal(36)
    dense, sweep = matrix.toarray(), np.zeros(36)
    for row in [*range(36), *reversed(range(36))]:
        sweep[row] += omega * (rhs[row] - dense[row] @ sweep) / dense[row, row]
    np.testing.assert_allclose(build_preconditioner("ssor", matrix, omega=omega).solve(rhs), sweep, rtol=1e-12)


@pytest.mark.parametrize("matrix", [convection_diffusion(7), random_dominant(40, 3)], ids=["grid", "random"])
def test_ilut_without_dropping_is_the_exact_lu(matrix):
    size = matrix.shape[0]
    factors = ilut(matrix, drop_tolerance=0.0, fill_factor=np.inf)
    lower, upper = dense_factors(factors)
    np.testing.assert_allclose(lower @ upper, matrix.toarray(), atol=1e-12)
    rhs = np.random.default_rng(2).standard_normal(size)
    np.testing.assert_allclose(factors.solve(rhs), np.linalg.solve(matrix.toarray(), rhs), rtol=1e-10, atol=1e-12)


def test_ilut_drops_more_and_fits_worse_as_the_tolerance_grows():
    matrix = convection_diffusion(15)
    entries, errors = [], []
    for tolerance in (0.0, 1e-4, 1e-2, 1e-1):
        factors = ilut(matrix, drop_tolerance=tolerance, fill_factor=np.inf)
        lower, upper = dense_factors(factors)
        entries.append(factors.values.size)
        errors.append(np.linalg.norm(lower @ upper - matrix.toarray()))
    assert entries == sorted(entries, reverse=True)
    assert errors == sorted(errors)
    assert entries[0] > 2 * entries[-1]


@pytest.mark.parametrize("fill_factor", [0.5, 1.0, 3.0])
def test_ilut_keeps_no_more_than_its_fill_in_each_row(fill_factor):
    matrix = poisson(15)
    factors = ilut(matrix, drop_tolerance=0.0, fill_factor=fill_factor)
    kept = int(np.ceil(fill_factor * matrix.nnz / (2 * 225)))
    assert (factors.diagonal - factors.indptr[:-1]).max() == kept
    assert (factors.indptr[1:] - factors.diagonal - 1).max() == kept
    pattern = sp.csr_array((factors.values, factors.indices, factors.indptr))
    assert pattern.has_canonical_format


def test_ilut_is_as_good_as_superlu_of_the_same_drop_tolerance():
    matrix, rhs = convection_diffusion(30), np.ones(900)
    peer = spilu(matrix.tocsc(), drop_tol=1e-2, fill_factor=20, permc_spec="NATURAL", diag_pivot_thresh=0.0)
    own = ilut(matrix, drop_tolerance=1e-2, fill_factor=20.0)
    errors = [np.linalg.norm(rhs - matrix @ factors.solve(rhs)) for factors in (own, peer)]
    assert errors[0] < 2 * errors[1]


@pytest.mark.parametrize(("inner", "blocks"), [("ilu0", 4), ("lu", 4), ("ilu0", 1), ("lu", 49), ("ilu0", 49)])
def test_block_jacobi_preconditions_each_block_by_itself(inner, blocks):
    matrix = convection_diffusion(7)
    built = build_preconditioner("block-jacobi", matrix, blocks=blocks, inner=inner)
    vector = np.random.default_rng(4).standard_normal(49)
    expected = []
    for rows in np.array_split(np.arange(49), blocks):
        block = canonical(matrix.toarray()[np.ix_(rows, rows)])
        exact = np.linalg.solve(block.toarray(), vector[rows])
        expected.append(exact if inner == "lu" else ilu0(block).solve(vector[rows]))
    np.testing.assert_allclose(built.solve(vector), np.concatenate(expected), rtol=1e-10)


def cg_iterations(matrix, rhs, solve):
    steps = []
    _, failed = cg(matrix, rhs, rtol=1e-8, M=LinearOperator(matrix.shape, solve, dtype=float), callback=steps.append)
    assert failed == 0
    return len(steps)


def gmres_iterations(matrix, rhs, solve):
    steps = []
    operator = LinearOperator(matrix.shape, solve, dtype=float)
    options = {"rtol": 1e-8, "restart": 30, "maxiter": 100, "callback": steps.append, "callback_type": "pr_norm"}
    _, failed = gmres(matrix, rhs, M=operator, **options)
    assert failed == 0
    return len(steps)


@pytest.mark.parametrize("name", ["ssor", "block-jacobi", "ilu0", "ic0"])
def test_symmetric_preconditioners_reduce_the_iterations_of_cg(name):
    matrix, rhs = poisson(30), np.random.default_rng(5).standard_normal(900)
    solve = build_preconditioner(name, matrix).solve
    assert cg_iterations(matrix, rhs, solve) < 0.75 * cg_iterations(matrix, rhs, np.copy)


@pytest.mark.parametrize("name", ["ssor", "block-jacobi", "ilu0", "ilut"])
def test_preconditioners_reduce_the_iterations_of_gmres(name):
    matrix, rhs = convection_diffusion(30), np.random.default_rng(6).standard_normal(900)
    solve = build_preconditioner(name, matrix).solve
    assert gmres_iterations(matrix, rhs, solve) < 0.75 * gmres_iterations(matrix, rhs, np.copy)


def test_jacobi_reduces_the_iterations_of_cg_on_a_badly_scaled_matrix():
    scale = sp.diags_array(10.0 ** np.random.default_rng(7).uniform(-1, 1, 400))
    matrix = canonical(scale @ poisson(20) @ scale)
    rhs = np.ones(400)
    plain = cg_iterations(matrix, rhs, np.copy)
    assert cg_iterations(matrix, rhs, build_preconditioner("jacobi", matrix).solve) < 0.2 * plain


def test_64_bit_indices_give_the_same_preconditioners():
    matrix = poisson(8)
    wide = sp.csr_array(matrix.shape)
    wide.data, wide.indices, wide.indptr = matrix.data, matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)
    vector = np.arange(64.0)
    for name in EVERY_NAME:
        expected = build_preconditioner(name, matrix).solve(vector)
        np.testing.assert_array_equal(build_preconditioner(name, wide).solve(vector), expected)


@pytest.mark.parametrize("name", EVERY_NAME)
def test_building_leaves_the_matrix_as_it_was(name):
    matrix = poisson(6)
    before = matrix.copy()
    build_preconditioner(name, matrix).solve(np.ones(36))
    np.testing.assert_array_equal(matrix.data, before.data)
    np.testing.assert_array_equal(matrix.indices, before.indices)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (poisson(3).toarray(), "csr_array"),
        (sp.csr_array(np.ones((2, 3))), r"square.*\(2, 3\)"),
        (sp.csr_array(np.ones((2, 2), dtype=np.float32)), "float64, not float32"),
        (sp.csr_array((np.ones(2), [1, 0], [0, 2, 2]), shape=(2, 2)), "sorted"),
        (sp.csr_array((0, 0)), "empty"),
    ],
)
@pytest.mark.parametrize("name", EVERY_NAME)
def test_a_matrix_of_the_wrong_kind_is_refused_with_a_reason(name, matrix, message):
    with pytest.raises(ValueError, match=message):
        build_preconditioner(name, matrix)


@pytest.mark.parametrize("name", [name for name in EVERY_NAME if name != "none"])
@pytest.mark.parametrize("wrong", [np.ones(10), np.ones((9, 1)), np.ones(9, dtype=np.float32), [1.0] * 9])
def test_a_vector_of_the_wrong_kind_is_refused(name, wrong):
    built = build_preconditioner(name, poisson(3))
    for apply in (built.solve, built.multiply):
        with pytest.raises(ValueError, match="vector must be"):
            apply(wrong)


@pytest.mark.parametrize("name", ["jacobi", "ssor", "ilu0", "ic0"])
def test_a_missing_diagonal_entry_is_named_by_its_row(name):
    matrix = canonical(np.array([[1.0, 1.0, 0], [1.0, 0.0, 1.0], [0, 1.0, 1.0]]))
    with pytest.raises(FactorizationError, match=f"{name}: no diagonal entry in row 1"):
        build_preconditioner(name, matrix)


@pytest.mark.parametrize("name", ["ilu0", "ilut"])
def test_a_zero_pivot_is_named_by_its_row(name):
    matrix = canonical(np.array([[1.0, 1.0, 0], [1.0, 1.0, 1.0], [0, 1.0, 1.0]]))
    with pytest.raises(FactorizationError, match=rf"{name}: zero.*pivot in row 1"):
        build_preconditioner(name, matrix)


@pytest.mark.parametrize("name", [name for name in EVERY_NAME if name != "none"])
def test_a_matrix_that_is_not_finite_has_no_preconditioner(name):
    matrix = poisson(3)
    matrix.data[4] = np.nan
    with pytest.raises(FactorizationError, match="NaN or infinity"):
        build_preconditioner(name, matrix)


def test_ic0_refuses_a_nonsymmetric_matrix_and_a_negative_diagonal():
    with pytest.raises(ValueError, match="symmetric"):
        ic0(convection_diffusion(4))
    with pytest.raises(FactorizationError, match="negative diagonal in row 0"):
        ic0(canonical(-poisson(3)))


def test_a_singular_block_is_reported():
    matrix = canonical(sp.block_diag([np.ones((2, 2)), np.eye(2)]))
    with pytest.raises(FactorizationError, match="block-jacobi"):
        build_preconditioner("block-jacobi", matrix, blocks=2, inner="lu")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ssor", {"omega": 0.0}),
        ("ssor", {"omega": 2.0}),
        ("ssor", {"omega": np.nan}),
        ("block-jacobi", {"blocks": 0}),
        ("block-jacobi", {"blocks": 10}),
        ("block-jacobi", {"blocks": 2.0}),
        ("block-jacobi", {"blocks": 2, "inner": "qr"}),
        ("ilut", {"drop_tolerance": -1.0}),
        ("ilut", {"drop_tolerance": np.nan}),
        ("ilut", {"fill_factor": 0.0}),
        ("ilut", {"fill_factor": np.nan}),
    ],
)
def test_an_option_out_of_range_is_refused_by_name(name, options):
    with pytest.raises(ValueError, match=f"{list(options)[-1]} must"):
        build_preconditioner(name, poisson(3), **options)


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"none, jacobi, ssor.*not 'milu'"):
        build_preconditioner("milu", poisson(3))
