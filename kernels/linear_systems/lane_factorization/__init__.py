"""Many systems of one sparsity pattern, factorised together: one symbolic analysis, one system in each SIMD lane."""

from kernels.linear_systems.lane_factorization.analysis import Analysis, analyse
from kernels.linear_systems.lane_factorization.solver import lane_factorization_sequence

__all__ = ["Analysis", "analyse", "lane_factorization_sequence"]
