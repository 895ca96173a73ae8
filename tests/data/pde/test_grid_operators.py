import numpy as np
import pytest

from data.pde.grid_operators import five_point, seven_point


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1), (3, 5)])
def test_every_entry_stands_where_the_stencil_says(shape):
    stencil = np.random.default_rng(0).standard_normal((5, *shape))
    rows, columns = shape
    expected = np.zeros((rows * columns, rows * columns))
    for y in range(rows):
        for x in range(columns):
            for entry, (dy, dx) in enumerate([(-1, 0), (0, -1), (0, 0), (0, 1), (1, 0)]):
                if 0 <= y + dy < rows and 0 <= x + dx < columns:
                    expected[y * columns + x, (y + dy) * columns + x + dx] = stencil[entry, y, x]
    matrix = five_point(*stencil)
    np.testing.assert_array_equal(matrix.toarray(), expected)
    assert matrix.indices.dtype == matrix.indptr.dtype == np.int32


def test_matrices_of_one_grid_share_no_memory():
    ones = np.ones((3, 3))
    first, second = five_point(*[ones] * 5), five_point(*[ones] * 5)
    for part in ("data", "indices", "indptr"):
        assert not np.shares_memory(getattr(first, part), getattr(second, part))


def test_the_matrix_is_canonical_and_not_only_said_to_be():
    matrix = five_point(*np.ones((5, 4, 3)))
    claimed = matrix.copy()
    claimed.has_canonical_format = False
    claimed.has_sorted_indices = False
    claimed.sum_duplicates()
    np.testing.assert_array_equal(matrix.indices, claimed.indices)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 4, 2), (3, 1, 2), (2, 3, 4)])
def test_every_entry_of_seven_stands_where_the_stencil_says(shape):
    stencil = np.random.default_rng(0).standard_normal((7, *shape))
    offsets = [(-1, 0, 0), (0, -1, 0), (0, 0, -1), (0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]
    expected = np.zeros((np.prod(shape),) * 2)
    for place in np.ndindex(shape):
        for entry, offset in enumerate(offsets):
            neighbour = tuple(np.add(place, offset))
            if all(0 <= n < length for n, length in zip(neighbour, shape, strict=True)):
                row, column = np.ravel_multi_index(place, shape), np.ravel_multi_index(neighbour, shape)
                expected[row, column] = stencil[entry][place]
    matrix = seven_point(*stencil)
    np.testing.assert_array_equal(matrix.toarray(), expected)
    assert matrix.indices.dtype == matrix.indptr.dtype == np.int32
    assert (np.diff(np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)) * 100 + matrix.indices) > 0).all()
