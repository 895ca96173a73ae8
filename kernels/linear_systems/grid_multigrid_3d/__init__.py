"""Multigrid for symmetric seven-point systems on boxes: float32 V-cycles inside float64 conjugate gradients.

The modules: ``layout`` (a box as four sub-grids of planes), ``matrix`` (to and from CSR), ``hierarchy`` (the coarse
operators and the interpolation), ``cycle`` (the V-cycle), ``krylov`` (CG on the red cells) and ``solver`` (what users
call).
"""

from kernels.linear_systems.grid_multigrid_3d.matrix import find_box
from kernels.linear_systems.grid_multigrid_3d.solver import (
    grid_multigrid_3d,
    grid_multigrid_3d_preconditioner,
    grid_multigrid_3d_sequence,
)

__all__ = ["find_box", "grid_multigrid_3d", "grid_multigrid_3d_preconditioner", "grid_multigrid_3d_sequence"]
