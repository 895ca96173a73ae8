import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp

from data.optimization.constrained.hock_schittkowski import collection
from data.optimization.constrained.poisson_control import PoissonControl
from data.problem import make_fields
from kernels.optimization.constrained.kkt_system import (
    kkt_matrix,
    least_gram_eigenvalue,
    newton_system,
    reduced_curvature,
    spectral_norm,
)
from kernels.optimization.constrained.merit import ExactAugmentedLagrangian
from kernels.optimization.constrained.types import Oracle


def programs():
    control = PoissonControl(side=3)
    small = [problem.program(np.array(problem.start, float)) for problem in collection()]
    return [*small, control.assemble(make_fields(control, 0, 0))]


@pytest.mark.parametrize("program", programs())
def test_the_merits_gradient_is_that_of_differences_also_where_constraints_curve(program):
    random = np.random.default_rng(0)
    oracle, merit = Oracle(program), ExactAugmentedLagrangian(1.7, 0.3)
    n, m = program.start.size, program.start_multipliers.size
    stacked = random.uniform(-1.2, 1.2, n + m)

    def value(at):
        return merit.value(oracle.point(at[:n], at[n:]))

    step = 1e-6
    slopes = np.array([(value(stacked + step * e) - value(stacked - step * e)) / (2 * step) for e in np.eye(n + m)])
    point = oracle.point(stacked[:n], stacked[n:])
    gradient = merit.gradient(point, program.hessian(point.x, point.multipliers))
    np.testing.assert_allclose(gradient, slopes, rtol=1e-5, atol=1e-5 * np.abs(slopes).max())


def test_the_merit_is_the_lagrangian_and_two_penalties():
    program = collection()[0].program(np.array([0.0, 1.0]))
    point = Oracle(program).point(np.array([0.0, 1.0]), np.array([2.0]))
    # f = 1, c = 10, the gradient of the Lagrangian is (-2, 0) + 2 (0, 10)
    assert ExactAugmentedLagrangian(3.0, 0.5).value(point) == 1 + 2 * 10 + 1.5 * 100 + 0.25 * 404


def test_exact_newton_directions_descend_by_the_formula_of_the_paper():
    program = collection()[10].program(np.array(collection()[10].start))
    point = Oracle(program).point(program.start, np.array([0.3, -0.2, 0.5]))
    hessian = program.hessian(point.x, point.multipliers)
    merit = ExactAugmentedLagrangian(2.0, 0.05)
    system = newton_system(point, hessian, least_curvature=1e-6, shift=0.1)
    step = np.linalg.solve(system.matrix, system.rhs)
    by_x, by_multipliers = step[:5], step[5:]
    expected = (
        -by_x @ system.modified_hessian @ by_x
        + 2.0 * point.constraints @ by_multipliers
        - 2.0 * point.constraints @ point.constraints
        + 0.05 * point.lagrangian_gradient @ (hessian @ by_x + point.jacobian.T @ by_multipliers)
    )
    assert merit.gradient(point, hessian) @ step == pytest.approx(expected)


@pytest.mark.parametrize("is_sparse", [False, True])
def test_a_hessian_is_modified_where_its_curvature_on_the_null_space_is_too_small(is_sparse):
    random = np.random.default_rng(3)
    raw = random.standard_normal((6, 6))
    jacobian = random.standard_normal((2, 6))
    for shift in (-4.0, 0.0, 4.0):
        hessian = raw + raw.T + shift * np.eye(6)
        null_space = scipy.linalg.null_space(jacobian)
        least = np.linalg.eigvalsh(null_space.T @ hessian @ null_space)[0]
        matrices = [sp.csr_array(matrix) if is_sparse else matrix for matrix in (hessian, jacobian)]
        assert reduced_curvature(*matrices) == pytest.approx(least)
        point = Point(jacobian=matrices[1])
        system = newton_system(point, matrices[0], least_curvature=1e-2, shift=0.1)
        assert system.is_modified == (least < 1e-2)
        block = system.matrix.toarray() if is_sparse else system.matrix
        added = 0.1 + np.linalg.norm(hessian) if least < 1e-2 else 0.0
        np.testing.assert_allclose(block[:6, :6], hessian + added * np.eye(6))
        np.testing.assert_array_equal(block[6:, :6], jacobian)
        np.testing.assert_array_equal(block[6:, 6:], np.zeros((2, 2)))


class Point:
    x = np.zeros(6)
    kkt_vector = np.ones(8)

    def __init__(self, jacobian):
        self.jacobian = jacobian


def test_gershgorins_discs_spare_the_null_space_only_where_they_suffice():
    hessian, jacobian = np.diag([2.0, 3.0]), np.array([[1.0, 0.0]])
    assert reduced_curvature(hessian, jacobian, enough=1.0) == 2.0
    assert reduced_curvature(hessian, jacobian, enough=2.5) == pytest.approx(3.0)
    assert reduced_curvature(-hessian, np.eye(2)) == np.inf


@pytest.mark.parametrize("is_sparse", [False, True])
def test_norms_are_those_of_dense_decompositions(is_sparse):
    random = np.random.default_rng(5)
    hessian, jacobian = np.diag(random.standard_normal(8)), random.standard_normal((3, 8))
    matrices = [sp.csr_array(matrix) if is_sparse else matrix for matrix in (hessian, jacobian)]
    matrix = kkt_matrix(*matrices)
    dense = matrix.toarray() if is_sparse else matrix
    np.testing.assert_array_equal(dense, dense.T)
    assert spectral_norm(matrix) == pytest.approx(np.linalg.norm(dense, 2))
    assert least_gram_eigenvalue(matrices[1]) == pytest.approx(np.linalg.svd(jacobian)[1][-1] ** 2)
