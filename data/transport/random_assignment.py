"""The random assignment problem: independent uniform costs between as many agents as tasks."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from data.problem import Fields, Variable
from data.transport.entropic import Array, EntropicProblem


class RandomAssignment(EntropicProblem):
    """Uniform masses and independent costs, uniform between 0 and 1."""

    name: ClassVar[str] = "random-assignment"
    summary: ClassVar[str] = "Entropic transport between uniform masses at independent uniform costs"
    reference: ClassVar[str] = (
        'Tang et al., "Accelerating Sinkhorn Algorithm with Sparse Newton Iterations" (ICLR 2024), section 5'
    )

    points: int = Field(500, ge=2, le=10**4, description="agents, and as many tasks")

    def variables(self) -> dict[str, Variable]:
        """The costs."""
        return {"cost": Variable(("agent", "task"), (self.points, self.points), "cost of a task done by an agent")}

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Independent uniform costs."""
        return {"cost": random.random((self.points, self.points))}

    def _measures(self, fields: Fields) -> tuple[Array, Array, Array]:
        masses = np.full(self.points, 1.0 / self.points)
        return np.asarray(fields["cost"]), masses, masses
