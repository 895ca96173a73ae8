"""Oblivious sketches: random m x n matrices S, drawn without a look at the data, applied to a block of n rows."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.sketching.hadamard import walsh_hadamard
from kernels.sketching.types import Matrix, Vector, check_count

GAUSSIAN_NUMBERS = 2**20  # drawn at a time: 8 MiB, instead of the whole sketch


def srht_sketch(block: Matrix, rows: int, random: np.random.Generator) -> Matrix:
    """Subsampled randomised Hadamard transform: S = sqrt(n / m) P H D.

    D are random signs, H the orthonormal Walsh-Hadamard matrix, P picks m rows uniformly and with replacement. A block
    whose number of rows is no power of two is padded with zeros.

    Parameters
    ----------
    block : ndarray, shape (n, c), float64
    rows : int
        The rows m of the sketch.
    random : numpy.random.Generator

    Returns
    -------
    ndarray, shape (m, c), float64

    Raises
    ------
    ValueError
        If the block is empty or not a matrix, or ``rows`` is less than 1.

    References
    ----------
    J. A. Tropp (2011), Improved analysis of the subsampled randomized Hadamard transform, AADA 3.
    """
    size, columns = _check_sketch(block, rows)
    padded = np.zeros((1 << (size - 1).bit_length(), columns))
    np.multiply(block, _signs(size, random)[:, None], out=padded[:size])
    walsh_hadamard(padded)
    sampled: Matrix = padded[random.integers(padded.shape[0], size=rows)]
    sampled *= 1.0 / math.sqrt(rows)  # sqrt(n / m), and H's sqrt(1 / n)
    return sampled


def gaussian_sketch(block: Matrix, rows: int, random: np.random.Generator) -> Matrix:
    """Dense sketch of independent N(0, 1/m) entries, drawn in slices; arguments and errors as :func:`srht_sketch`."""
    size, columns = _check_sketch(block, rows)
    sketched = np.zeros((rows, columns))
    slice_size = max(1, GAUSSIAN_NUMBERS // rows)
    for start in range(0, size, slice_size):
        part = block[start : start + slice_size]
        sketched += random.standard_normal((rows, part.shape[0])) @ part
    sketched *= 1.0 / math.sqrt(rows)
    return sketched


def count_sketch(block: Matrix, rows: int, random: np.random.Generator) -> Matrix:
    """CountSketch of SciPy: every row goes to one bucket with a sign; arguments and errors as :func:`srht_sketch`."""
    from scipy.linalg import clarkson_woodruff_transform

    _check_sketch(block, rows)
    sketched: Matrix = clarkson_woodruff_transform(block, rows, rng=random)
    return sketched


def sparse_sketch(block: Matrix, rows: int, random: np.random.Generator, *, nonzeros: int) -> Matrix:
    """OSNAP: every column of S has ``nonzeros`` entries +-1 / sqrt(nonzeros), one in each of as many equal blocks.

    Parameters
    ----------
    block : ndarray, shape (n, c), float64
    rows : int
        The rows m of the sketch, a multiple of ``nonzeros``.
    random : numpy.random.Generator
    nonzeros : int
        Entries in a column of S; 1 is CountSketch.

    Returns
    -------
    ndarray, shape (m, c), float64

    Raises
    ------
    ValueError
        As from :func:`srht_sketch`, and if ``rows`` is no multiple of ``nonzeros``.

    References
    ----------
    J. Nelson, H. L. Nguyen (2013), OSNAP: faster numerical linear algebra algorithms via sparser subspace embeddings,
    FOCS, the block construction.
    """
    size, columns = _check_sketch(block, rows)
    check_count("nonzeros", nonzeros, 1, rows)
    if rows % nonzeros:
        raise ValueError(f"rows must be a multiple of nonzeros={nonzeros}, not {rows}")
    height = rows // nonzeros
    buckets = random.integers(height, size=(size, nonzeros)) + height * np.arange(nonzeros)
    signs = _signs(size * nonzeros, random).reshape(size, nonzeros) / math.sqrt(nonzeros)
    sketched = np.zeros((rows, columns))
    _scatter(np.ascontiguousarray(block), buckets, signs, sketched)
    return sketched


def _check_sketch(block: Matrix, rows: int) -> tuple[int, int]:
    if not isinstance(block, np.ndarray) or block.ndim != 2 or block.size == 0 or block.dtype != np.float64:
        raise ValueError(f"block must be a float64 array of shape (n, c), not empty, not of shape {np.shape(block)}")
    check_count("rows", rows, 1)
    return block.shape[0], block.shape[1]


def _signs(count: int, random: np.random.Generator) -> Vector:
    return np.asarray(1.0 - 2.0 * random.integers(2, size=count), np.float64)


@njit(cache=True)
def _scatter(block: Matrix, buckets: NDArray[np.int64], signs: Matrix, sketched: Matrix) -> None:
    for i in range(block.shape[0]):
        for k in range(buckets.shape[1]):
            for column in range(block.shape[1]):
                sketched[buckets[i, k], column] += signs[i, k] * block[i, column]
