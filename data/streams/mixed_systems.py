"""Systems of different kinds on one grid, in random order: what a solver for all of them has to tell apart."""

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from data.linear_system import LinearSystem
from data.pde.convection_diffusion import ConvectionDiffusion
from data.pde.darcy import DarcyLognormal, DarcyThresholded
from data.pde.darcy_anisotropic import DarcyAnisotropic
from data.pde.grid_operators import cell_centres, five_point
from data.pde.helmholtz import Helmholtz
from data.pde.recirculation import Recirculation
from data.problem import Fields, Problem, Variable
from data.validation import GridSize

_OFFSETS = ((-1, 0), (0, -1), (0, 0), (0, 1), (1, 0))  # (y, x) of south, west, centre, east and north


class MixedSystems(Problem):
    """Each instance is of one of six kinds, chosen at random: smooth and rough flow, layers, convection, eddies, waves.

    What is stored is the five-point stencil itself, the same variables for all kinds.
    """

    name: ClassVar[str] = "mixed-systems"
    summary: ClassVar[str] = "Five-point systems of six kinds in random order, for solvers that choose by themselves"
    reference: ClassVar[str] = "the problems of the same names in this package"

    grid: GridSize = Field(64, ge=8, description="unknowns per side")

    @cached_property
    def members(self) -> tuple[Problem, ...]:
        """The problems that are mixed, all with ``grid`` unknowns per side."""
        return (
            DarcyLognormal(grid=self.grid),
            DarcyThresholded(grid=self.grid, high=1e6, low=1.0),
            DarcyAnisotropic(grid=self.grid, anisotropy=1000.0),
            ConvectionDiffusion(grid=self.grid),
            Recirculation(grid=self.grid, cell_peclet=50.0),
            Helmholtz(grid=self.grid + 1, wave_number=0.4 * self.grid),
        )

    def variables(self) -> dict[str, Variable]:
        """The kind, the stencil and the right-hand side."""
        kinds = ", ".join(f"{code} = {member.name}" for code, member in enumerate(self.members))
        shape = (self.grid, self.grid)
        return {
            "kind": Variable((), (), f"kind of system: {kinds}", dtype="int8"),
            "stencil": Variable(("coupling", "y", "x"), (5, *shape), "coupling to south, west, itself, east, north"),
            "rhs": Variable(("y", "x"), shape, "right-hand side"),
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """A kind, and the system of an instance of that kind."""
        kind = int(random.integers(len(self.members)))
        member = self.members[kind]
        system = member.assemble(member.draw(random))
        shape = (self.grid, self.grid)
        return {"kind": np.array(kind, np.int8), "stencil": self._stencil(system), "rhs": system.rhs.reshape(shape)}

    def _stencil(self, system: LinearSystem) -> NDArray[np.float64]:
        stencil = np.zeros((5, self.grid, self.grid))
        for coupling, (y, x) in zip(stencil, _OFFSETS, strict=True):
            offset = y * self.grid + x
            coupling.ravel()[max(0, -offset) : self.grid**2 - max(0, offset)] = system.matrix.diagonal(offset)
        return stencil

    def assemble(self, fields: Fields) -> LinearSystem:
        """The five-point system; not even the symmetry is known beforehand."""
        return LinearSystem(five_point(*fields["stencil"]), fields["rhs"].ravel(), fields["stencil"].ravel())

    def coordinates(self) -> dict[str, NDArray[Any]]:
        """The cell centres."""
        return {"y": cell_centres(self.grid), "x": cell_centres(self.grid)}

    def solution(self) -> Variable:
        """The unknowns of the grid."""
        return Variable(("y", "x"), (self.grid, self.grid), "solution of the system")

    def verification(self) -> dict[str, float]:
        """The observed order of the least precise kind."""
        return {"observed_order": min(member.verification()["observed_order"] for member in self.members)}
