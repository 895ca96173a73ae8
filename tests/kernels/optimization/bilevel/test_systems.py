import numpy as np

from kernels.optimization.bilevel.systems import conjugate_gradients


def systems(random, count=4, size=5):
    factors = random.standard_normal((count, size, size))
    return factors @ factors.transpose(0, 2, 1) + np.eye(size), random.standard_normal((count, size))


def test_all_systems_are_solved_in_as_many_iterations_as_they_have_unknowns():
    matrices, right = systems(np.random.default_rng(0))
    found = conjugate_gradients(lambda v: np.einsum("iqr,ir->iq", matrices, v), right, np.zeros_like(right), 5)
    np.testing.assert_allclose(found, np.linalg.solve(matrices, right[..., None])[..., 0], rtol=1e-6)


def test_a_row_that_is_solved_rests_while_others_go_on():
    matrices, right = systems(np.random.default_rng(1))
    start = np.zeros_like(right)
    start[0] = np.linalg.solve(matrices[0], right[0])
    right[1] = 0.0
    found = conjugate_gradients(lambda v: np.einsum("iqr,ir->iq", matrices, v), right, start, 50, 1e-10)
    np.testing.assert_allclose(found, np.linalg.solve(matrices, right[..., None])[..., 0], rtol=1e-8, atol=1e-12)
    assert np.isfinite(found).all()


def test_the_tolerance_saves_products():
    matrices, right = systems(np.random.default_rng(2))
    calls = []

    def product(v):
        calls.append(v)
        return np.einsum("iqr,ir->iq", matrices, v)

    conjugate_gradients(product, right, np.zeros_like(right), 50, 0.5)
    assert len(calls) < 6
