"""Small data sets, made in this process."""

from data.pde.darcy import DarcyLognormal
from kernels.linear_systems.direct import sparse_lu_sequence
from kernels.linear_systems.solvers import true_relative_residual
from tasks.datasets import DataSet, complete_data_set, generate_shard
from tasks.store import prepare_store
from tasks.study import Contender, Metric

METRICS = (Metric("relative_residual", true_relative_residual, "true relative residual"),)
DIRECT = Contender("direct", sparse_lu_sequence, {"tolerance": 1e-8}, sequential=True)


def darcy(count=5, shard_size=2, seed=0, grid=6, solver=DIRECT, parameters=None, **options):
    """Darcy flow on a grid of 6 x 6, solved with its residuals; ``parameters`` are further ones of the problem."""
    problem = DarcyLognormal(grid=grid, **(parameters or {}))
    return DataSet(problem, seed, count, shard_size, solver, METRICS if solver else (), **options)


def generate(data_set, url, shards=None):
    """Make a data set, its shards in this order; returns what the workers report."""
    prepare_store(url, data_set.layout(), data_set.describe)
    reports = [generate_shard(data_set, url, shard) for shard in shards or data_set.layout().shards]
    complete_data_set(url)
    return reports
