import numpy as np
import pytest
import scipy.linalg

from kernels.sketching.hadamard import CACHED_NUMBERS, walsh_hadamard


@pytest.mark.parametrize("rows", [1, 2, 4, 8, 64, 512])
@pytest.mark.parametrize("columns", [1, 3])
def test_the_transform_is_the_product_with_the_hadamard_matrix(rows, columns):
    block = np.random.default_rng(rows).standard_normal((rows, columns))
    transformed = block.copy()
    walsh_hadamard(transformed)
    np.testing.assert_allclose(transformed, scipy.linalg.hadamard(rows) @ block, atol=1e-12)


def test_a_block_that_does_not_fit_in_the_cache_is_transformed_alike():
    rows, columns = 2**15, 5
    assert rows * columns > CACHED_NUMBERS
    block = np.random.default_rng(0).standard_normal((rows, columns))
    halves = np.stack([block[: rows // 2] + block[rows // 2 :], block[: rows // 2] - block[rows // 2 :]])
    for half in halves:  # H of order 2n from that of order n
        walsh_hadamard(half)
    walsh_hadamard(block)
    np.testing.assert_allclose(block, halves.reshape(rows, columns), atol=1e-10)


def test_twice_the_transform_is_a_multiple_of_the_identity():
    block = np.random.default_rng(1).standard_normal((256, 7))
    twice = block.copy()
    walsh_hadamard(twice)
    walsh_hadamard(twice)
    np.testing.assert_allclose(twice, 256 * block, atol=1e-11)


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (np.ones((6, 2)), "power of two rows, not 6"),
        (np.ones((0, 2)), "power of two rows, not 0"),
        (np.ones((4, 0)), "at least one column"),
        (np.asfortranarray(np.ones((4, 2))), "C-contiguous"),
        (np.ones(4), "shape"),
        (np.ones((4, 2), np.float32), "float64"),
    ],
)
def test_a_block_that_cannot_be_transformed_in_place_is_refused(block, words):
    with pytest.raises(ValueError, match=words):
        walsh_hadamard(block)
