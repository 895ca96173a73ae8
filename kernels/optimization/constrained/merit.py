"""Merit functions: the exact augmented Lagrangian, a function of variables and multipliers, and its gradient."""

from dataclasses import dataclass

import numpy as np

from kernels.optimization.constrained.types import Matrix, PrimalDualPoint, Vector


@dataclass(slots=True)
class ExactAugmentedLagrangian:
    """``f + l^T c + e1 / 2 ||c||^2 + e2 / 2 ||grad_x L||^2``, whose second penalty makes its multipliers exact.

    Attributes
    ----------
    constraint_penalty : float
        e1.
    dual_penalty : float
        e2.

    References
    ----------
    .. [1] D. P. Bertsekas, "Constrained optimization and Lagrange multiplier methods", Academic Press 1982, section 4.3
       (after G. Di Pillo and L. Grippo, 1979).
    """

    constraint_penalty: float = 1.0
    dual_penalty: float = 0.1

    def value(self, point: PrimalDualPoint) -> float:
        """The merit of a point; it needs first derivatives of the problem."""
        lagrangian = point.objective + float(point.multipliers @ point.constraints)
        infeasibility = float(point.constraints @ point.constraints)
        dual_infeasibility = float(point.lagrangian_gradient @ point.lagrangian_gradient)
        return lagrangian + 0.5 * self.constraint_penalty * infeasibility + 0.5 * self.dual_penalty * dual_infeasibility

    def gradient(self, point: PrimalDualPoint, hessian: Matrix) -> Vector:
        """Its gradient with respect to variables and multipliers, shape (n + m,).

        ``hessian`` is that of the Lagrangian at the point: the derivative of its gradient.
        """
        gradient = point.lagrangian_gradient
        by_variables = (
            gradient
            + self.dual_penalty * (hessian @ gradient)
            + self.constraint_penalty * (point.jacobian.T @ point.constraints)
        )
        by_multipliers = point.constraints + self.dual_penalty * (point.jacobian @ gradient)
        return np.concatenate((by_variables, by_multipliers))
