"""Multigrid for five-point systems on rectangular grids: float32 V-cycles inside float64 Krylov methods.

The modules: ``layout`` (a grid as four sub-grids), ``stencil`` and ``residual`` (to and from CSR), ``network`` and
``hierarchy`` (the coarse operators), ``transfer`` (between levels), ``cycle`` (the V-cycle), ``krylov`` (CG and
BiCGStab on the red cells) and ``solver`` (what users call).
"""

from kernels.linear_systems.grid_multigrid.solver import (
    grid_multigrid,
    grid_multigrid_preconditioner,
    grid_multigrid_sequence,
)

__all__ = ["grid_multigrid", "grid_multigrid_preconditioner", "grid_multigrid_sequence"]
