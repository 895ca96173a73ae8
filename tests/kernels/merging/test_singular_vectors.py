import numpy as np
import pytest
from networks_to_merge import random_network, shuffled

from kernels.merging.singular_vectors import reduced_layers, vector_alignments


@pytest.fixture
def random():
    return np.random.default_rng(8)


def by_definition(first, second, gamma):
    """The double sum over singular triplets."""
    decompositions = []
    for matrix in (first, second):
        u, s, vt = np.linalg.svd(matrix, full_matrices=False)
        decompositions.append([(u[:, i], vt[i]) for i in range(s.size) if s[i] >= gamma * s[0]])
    a, b = decompositions
    return sum((u @ p) * (v @ q) for u, v in a for p, q in b) / np.sqrt(len(a) * len(b))


def test_alignments_are_the_double_sum_over_triplets(random):
    first, second = random.standard_normal((2, 5, 7))
    second += first
    gammas = (0.0, 0.3, 0.5, 1.0)
    expected = [by_definition(first, second, gamma) for gamma in gammas]
    np.testing.assert_allclose(vector_alignments(first, second, gammas), expected, atol=1e-12)


def test_a_matrix_is_aligned_with_itself_and_opposed_to_its_negative(random):
    matrix = random.standard_normal((6, 4))
    np.testing.assert_allclose(vector_alignments(matrix, 3.0 * matrix, (0.0, 0.5)), 1.0)
    np.testing.assert_allclose(vector_alignments(matrix, -matrix, (0.0, 0.5)), -1.0)


def test_alignment_is_between_minus_one_and_one_and_symmetric(random):
    for _ in range(20):
        first, second = random.standard_normal((2, 6, 4))
        there, back = vector_alignments(first, second, (0.0, 0.4)), vector_alignments(second, first, (0.0, 0.4))
        assert (np.abs(there) <= 1.0).all()
        np.testing.assert_allclose(there, back, atol=1e-12)


def test_only_the_large_singular_values_count_above_a_threshold(random):
    bases = [np.linalg.qr(random.standard_normal((6, 6)))[0] for _ in range(3)]
    values = np.array([5.0, 4.0, 0.5, 0.4, 0.3, 0.2])
    tail = np.linalg.qr(np.column_stack([bases[0][:, :2], random.standard_normal((6, 4))]))[0][:, 2:]
    first = (bases[0] * values) @ bases[1]
    second = (np.column_stack([bases[0][:, :2], tail]) * values) @ bases[1]
    everything, leading = vector_alignments(first, second, (0.0, 0.5))
    assert leading == pytest.approx(1.0)
    assert everything < 0.9


def test_permuting_units_leaves_singular_values_alone_and_moves_their_vectors(random):
    layers = random_network(random, (4, 6, 5, 3))
    permuted, _ = shuffled(random, layers)
    for layer, other in zip(layers, permuted, strict=True):
        values, others = (np.linalg.svd(x[:, :-1], compute_uv=False) for x in (layer, other))
        np.testing.assert_allclose(others, values, rtol=1e-12)
    assert vector_alignments(layers[1][:, :-1], permuted[1][:, :-1])[0] < 0.9


def test_leading_and_trailing_parts_add_up_to_the_weights(random):
    layers = random_network(random, (8, 6, 5, 3))
    leading, trailing = (reduced_layers(layers, part, 0.25) for part in ("leading", "trailing"))
    for layer, large, small, rank in zip(layers, leading, trailing, (2, 2, 1), strict=True):
        np.testing.assert_allclose(large[:, :-1] + small[:, :-1], layer[:, :-1], atol=1e-12)
        assert np.linalg.matrix_rank(large[:, :-1]) == rank
        assert not large[:, -1].any()
        assert not small[:, -1].any()
        values = np.linalg.svd(layer[:, :-1], compute_uv=False)
        assert np.linalg.norm(layer[:, :-1] - large[:, :-1], 2) == pytest.approx(values[rank])
    assert reduced_layers(layers, "all") is layers


def test_bad_input_is_refused(random):
    matrix = random.standard_normal((3, 4))
    with pytest.raises(ValueError, match="matrices of one shape"):
        vector_alignments(matrix, matrix.T)
    with pytest.raises(ValueError, match="matrices of one shape"):
        vector_alignments(matrix[0], matrix[0])
    with pytest.raises(ValueError, match="thresholds must be 0 to 1"):
        vector_alignments(matrix, matrix, (0.3, np.nan))
