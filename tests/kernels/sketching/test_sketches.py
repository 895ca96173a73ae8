from functools import partial

import numpy as np
import pytest

from kernels.sketching.sketches import count_sketch, gaussian_sketch, sparse_sketch, srht_sketch

SKETCHES = {
    "srht": srht_sketch,
    "gaussian": gaussian_sketch,
    "count": count_sketch,
    "osnap-1": partial(sparse_sketch, nonzeros=1),
    "osnap-4": partial(sparse_sketch, nonzeros=4),
}


@pytest.fixture(params=SKETCHES.values(), ids=SKETCHES)
def sketch(request):
    return request.param


def matrix_of(sketch, size, rows, seed):
    """The matrix of a sketch, from what it does to the identity."""
    return sketch(np.eye(size), rows, np.random.default_rng(seed))


@pytest.mark.parametrize("size", [1, 16, 37])
def test_a_sketch_is_linear_and_its_matrix_depends_on_the_seed_alone(sketch, size):
    block = np.random.default_rng(1).standard_normal((size, 3))
    sketched = sketch(block, 12, np.random.default_rng(5))
    assert sketched.shape == (12, 3)
    np.testing.assert_allclose(sketched, matrix_of(sketch, size, 12, 5) @ block, atol=1e-12)


def test_inner_products_are_kept_on_average(sketch):
    size, rows = 16, 8
    left, right = np.random.default_rng(2).standard_normal((2, size))
    products = []
    for seed in range(2000):
        first, second = sketch(np.column_stack([left, right]), rows, np.random.default_rng(seed)).T
        products.append(first @ second)
    scatter = np.std(products) / np.sqrt(len(products))
    assert abs(np.mean(products) - left @ right) < 4 * scatter
    assert np.std(products) < 2 * np.linalg.norm(left) * np.linalg.norm(right) / np.sqrt(rows)


@pytest.mark.parametrize("size", [16, 10])
def test_all_entries_of_the_srht_have_the_same_size(size):
    np.testing.assert_allclose(np.abs(matrix_of(srht_sketch, size, 5, 0)), 1 / np.sqrt(5), rtol=1e-14)


def test_the_srht_of_all_rows_in_order_is_an_isometry():
    class InOrder(np.random.Generator):
        def integers(self, low, size):
            return np.arange(size) if low == size else super().integers(low, size=size)

    sketched = srht_sketch(np.eye(16), 16, InOrder(np.random.PCG64(0)))
    np.testing.assert_allclose(sketched.T @ sketched, np.eye(16), atol=1e-14)


@pytest.mark.parametrize("nonzeros", [1, 2, 6])
def test_a_column_of_osnap_has_one_entry_in_every_block(nonzeros):
    matrix = matrix_of(partial(sparse_sketch, nonzeros=nonzeros), 50, 12, 3)
    blocks = matrix.reshape(nonzeros, 12 // nonzeros, 50)
    assert ((blocks != 0).sum(axis=1) == 1).all()
    np.testing.assert_allclose(np.abs(matrix).max(axis=0), 1 / np.sqrt(nonzeros))


def test_a_gaussian_sketch_drawn_in_slices_has_independent_standard_entries():
    matrix = np.sqrt(400) * matrix_of(gaussian_sketch, 3000, 400, 0)
    assert matrix.size > 2**20
    assert abs(matrix.mean()) < 4 / np.sqrt(matrix.size)
    assert abs(matrix.var() - 1) < 4 * np.sqrt(2 / matrix.size)


@pytest.mark.parametrize("block", [np.ones(3), np.ones((0, 2)), np.ones((3, 0)), np.ones((3, 2), int), [[1.0]]])
def test_what_is_not_a_block_is_refused(sketch, block):
    with pytest.raises(ValueError, match="block must be a float64 array"):
        sketch(block, 4, np.random.default_rng(0))


@pytest.mark.parametrize("rows", [0, -1, 2.0, True])
def test_a_sketch_of_no_rows_is_refused(sketch, rows):
    with pytest.raises(ValueError, match="rows must be an integer at least 1"):
        sketch(np.ones((3, 2)), rows, np.random.default_rng(0))


@pytest.mark.parametrize(("nonzeros", "words"), [(0, "between 1 and 12"), (13, "between 1 and 12"), (5, "multiple of")])
def test_nonzeros_that_do_not_divide_the_rows_are_refused(nonzeros, words):
    with pytest.raises(ValueError, match=words):
        sparse_sketch(np.ones((3, 2)), 12, np.random.default_rng(0), nonzeros=nonzeros)
