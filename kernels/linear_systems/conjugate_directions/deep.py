"""The deep conjugate direction method (Kaneda et al. 2023): a network proposes every search direction."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kernels.linear_systems.conjugate_directions.flexible_cg import flexible_cg
from kernels.linear_systems.conjugate_directions.network import ForwardPass, TrainedNetwork
from kernels.linear_systems.krylov_tools import norm
from kernels.linear_systems.types import Preconditioner, System, Vector
from kernels.linear_systems.validation import check_vector
from kernels.result import Result


class NetworkSystem(System, Protocol):
    """A system on a grid, and a network that was trained on one like it."""

    @property
    def liquid(self) -> NDArray[np.bool_]:
        """The cells with an equation, shape (rows, columns); the rows of the others are those of the identity."""
        ...

    @property
    def network(self) -> TrainedNetwork:
        """The network."""
        ...


def deep_conjugate_directions(
    system: NetworkSystem, *, conjugated: int = 2, tolerance: float = 1e-8, max_iterations: int = 1000
) -> Result:
    """Solve a system along the directions that its network proposes for the residuals.

    Each one is made conjugate to the last two and followed by exact line search: flexible conjugate gradients with two
    directions kept and the network as preconditioner. The network sees the residual in single precision, the iteration
    is in double.

    Parameters
    ----------
    system : NetworkSystem
    conjugated : int
        As for :func:`~kernels.linear_systems.conjugate_directions.flexible_cg.flexible_cg`; the paper's is 2.
    tolerance, max_iterations
        As there.

    Returns
    -------
    Result
        As from there; ``preconditioner_applications`` counts forward passes.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape, dtype or range.
    """
    return flexible_cg(
        system.matrix,
        system.rhs,
        preconditioner=network_preconditioner(system.network, system.liquid),
        conjugated=conjugated,
        tolerance=tolerance,
        max_iterations=max_iterations,
    )


def network_preconditioner(network: TrainedNetwork, liquid: NDArray[np.bool_]) -> Preconditioner:
    """A network as a preconditioner, neither linear nor symmetric: r -> f(r / ||r||) where there is liquid, else 0.

    Parameters
    ----------
    network : TrainedNetwork
    liquid : ndarray, shape (rows, columns), bool

    Raises
    ------
    ValueError
        If the weights or the shape are not as :class:`~.network.ForwardPass` takes them.
    """
    if liquid.ndim != 2 or liquid.dtype != np.bool_:
        raise ValueError(f"liquid must be a two-dimensional array of bool, not {liquid.dtype} of shape {liquid.shape}")
    rows, columns = liquid.shape
    forward = ForwardPass(network, (rows, columns))

    def solve(residual: Vector) -> Vector:
        check_vector("residual", residual, liquid.size)
        # of unit length, whatever the system's units, it is in the range of single precision
        unit = residual / (norm(residual) or 1.0)
        return (forward(unit.reshape(liquid.shape)) * liquid).ravel()

    return Preconditioner("network", solve, None)
