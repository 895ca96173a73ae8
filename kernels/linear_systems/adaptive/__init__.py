"""Solvers chosen online: a bandit picks one for each system of a sequence, from what the earlier ones cost.

The modules: ``features`` (what is cheaply known of a system), ``arms`` (the solvers with a model of their cost),
``policy`` (the bandit) and ``solver`` (what users call).
"""

from kernels.linear_systems.adaptive.arms import ARM_NAMES, MULTIGRID_ARMS
from kernels.linear_systems.adaptive.solver import AdaptiveSolver, adaptive_sequence

__all__ = ["ARM_NAMES", "MULTIGRID_ARMS", "AdaptiveSolver", "adaptive_sequence"]
