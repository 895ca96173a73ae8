"""Control of a Poisson equation, with a cubic reaction: sparse equality constraints."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from data.problem import Fields, Problem, Variable

Vector = NDArray[np.float64]
CONTROL_COST = 0.1
WAVE_NUMBER = 0.1 / np.sqrt(15.0)


@lru_cache(maxsize=8)
def dirichlet_laplacian(side: int) -> sp.csr_array:
    """The five-point Laplacian on the side^2 interior vertices of (-1, 1)^2, with zero boundary values, in CSR."""
    spacing = 2.0 / (side + 1)
    second_difference = sp.diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1], shape=(side, side)) / spacing**2
    identity = sp.eye_array(side)
    return sp.csr_array(sp.kron(second_difference, identity) + sp.kron(identity, second_difference))


@dataclass(frozen=True, slots=True, eq=False)
class ReactionControl:
    """Steer the solution w of ``Laplace w - reaction w^3 + z = 0`` to a target by a source z that costs.

    The variables x are w and z, one after the other; the objective is ``|w - target|^2 / 2 + 0.05 |z|^2``.

    Attributes
    ----------
    laplacian : csr_array, shape (m, m), float64
    target : ndarray, shape (m,), float64
    reaction : float
    """

    laplacian: sp.csr_array
    target: Vector
    reaction: float

    @property
    def start(self) -> Vector:
        """All ones, shape (2 m,)."""
        return np.ones(2 * self.target.size)

    @property
    def start_multipliers(self) -> Vector:
        """All ones, shape (m,)."""
        return np.ones(self.target.size)

    def _halves(self, x: Vector) -> tuple[Vector, Vector]:
        return x[: self.target.size], x[self.target.size :]

    def objective(self, x: Vector) -> float:
        """The distance from the target and the cost of the source."""
        state, source = self._halves(x)
        return float(0.5 * np.sum((state - self.target) ** 2) + 0.5 * CONTROL_COST * source @ source)

    def gradient(self, x: Vector) -> Vector:
        """The gradient of the objective, shape (2 m,)."""
        state, source = self._halves(x)
        return np.concatenate((state - self.target, CONTROL_COST * source))

    def constraints(self, x: Vector) -> Vector:
        """The residuals of the equation at the interior vertices, shape (m,)."""
        state, source = self._halves(x)
        return np.asarray(self.laplacian @ state - self.reaction * state**3 + source)

    def jacobian(self, x: Vector) -> sp.csr_array:
        """Their Jacobian, shape (m, 2 m)."""
        state = self._halves(x)[0]
        linearised = self.laplacian - sp.diags_array(3.0 * self.reaction * state**2)
        return sp.csr_array(sp.hstack((linearised, sp.eye_array(state.size))))

    def hessian(self, x: Vector, multipliers: Vector) -> sp.csr_array:
        """The Hessian of the Lagrangian, diagonal, shape (2 m, 2 m)."""
        state = self._halves(x)[0]
        curvature = 1.0 - 6.0 * self.reaction * state * multipliers
        return sp.csr_array(sp.diags_array(np.concatenate((curvature, np.full(state.size, CONTROL_COST)))))


class PoissonControl(Problem):
    """The source of a reaction-diffusion equation whose solution comes near a smooth target with random phases."""

    name: ClassVar[str] = "poisson-control"
    summary: ClassVar[str] = "optimal control of a Poisson equation with a cubic reaction"
    reference: ClassVar[str] = (
        'Hong, Na, Mahoney, Kolar, "Constrained Optimization via Exact Augmented Lagrangian and Randomized Iterative '
        'Sketching" (ICML 2023), the PDE-constrained problem'
    )

    side: int = Field(8, ge=2, le=128, description="interior vertices per side of the square (-1, 1)^2")
    reaction: float = Field(1.0, ge=0.0, le=100.0, description="factor of the cubic reaction; 0 for Poisson's equation")

    def variables(self) -> dict[str, Variable]:
        """The target state."""
        return {"target": Variable(("y", "x"), (self.side, self.side), "target of the state at interior vertices")}

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """A sine along y plus a cosine along x, with wave lengths far beyond the square and random phases."""
        phases = random.uniform(0.0, 2.0 * np.pi, 2)
        offsets = np.arange(self.side) - 0.5 * (self.side - 1)
        along_y, along_x = np.sin(phases[0] + WAVE_NUMBER * offsets), np.cos(phases[1] + WAVE_NUMBER * offsets)
        return {"target": np.add.outer(along_y, along_x)}

    def assemble(self, fields: Fields) -> ReactionControl:
        """The control problem of that target."""
        return ReactionControl(dirichlet_laplacian(self.side), np.ravel(fields["target"]), self.reaction)

    def coordinates(self) -> dict[str, NDArray[Any]]:
        """The interior vertices."""
        vertices = np.linspace(-1.0, 1.0, self.side + 2)[1:-1]
        return {"y": vertices, "x": vertices}
