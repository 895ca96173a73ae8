"""Label propagation: the labels of some nodes of a graph are spread to the others by a quadratic energy."""

from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from data.linear_system import LinearSystem
from data.problem import Fields, Problem, Variable

Array = NDArray[np.float64]
Nodes = NDArray[np.int64]

_BCD = 'Nutini, Laradji and Schmidt, "Let\'s Make Block Coordinate Descent Converge Faster" (JMLR 23, 2022)'


def label_system(weights: sp.csr_array, labelled: Nodes, labels: Array) -> LinearSystem:
    """The system of the unlabelled nodes that minimise ``sum over edges of w_ij (x_i - x_j)^2 / 2``.

    Parameters
    ----------
    weights : csr_array, shape (n, n), float64
        Symmetric and not negative, zero on the diagonal.
    labelled : ndarray, shape (m,), int64
        Different nodes, at least one in each connected component, or the matrix is singular.
    labels : ndarray, shape (m,), float64

    Returns
    -------
    LinearSystem
        Of the n - m other nodes in their order.
    """
    nodes = weights.shape[0]
    free = np.setdiff1d(np.arange(nodes), labelled)
    laplacian = (sp.diags_array(weights.sum(axis=1)) - weights).tocsr()
    matrix = sp.csr_array(laplacian[free][:, free])
    matrix.sort_indices()
    rhs = -(laplacian[free][:, labelled] @ labels)
    return LinearSystem(matrix, rhs, labels, symmetric=True, positive_definite=True)


@lru_cache(maxsize=4)
def lattice_graph(side: int) -> sp.csr_array:
    """The weights, all one, of a square lattice."""
    ahead = np.arange(side - 1)
    half = sp.coo_array((np.ones(side - 1), (ahead, ahead + 1)), shape=(side, side))
    path = half + half.T
    return sp.csr_array(sp.kronsum(path, path, format="csr"))


def neighbour_graph(points: Array, neighbours: int) -> sp.csr_array:
    """The weights, all one, of the graph that joins two points if one is among the nearest of the other."""
    nodes = len(points)
    nearest = np.asarray(KDTree(points).query(points, neighbours + 1)[1])[:, 1:].ravel()
    rows = np.repeat(np.arange(nodes), neighbours)
    directed = sp.csr_array((np.ones(rows.size), (rows, nearest)), shape=(nodes, nodes))
    return sp.csr_array(directed.maximum(directed.T))


class LatticeLabels(Problem):
    """A square lattice, 4% of whose nodes have labels of standard deviation 10."""

    name: ClassVar[str] = "lattice-labels"
    summary: ClassVar[str] = "Label propagation on a square lattice"
    reference: ClassVar[str] = _BCD

    side: int = Field(50, ge=2, le=2048, description="nodes per side")
    labelled: float = Field(0.04, gt=0.0, lt=1.0, description="share of the nodes that have labels, at least one node")

    def variables(self) -> dict[str, Variable]:
        """The labelled nodes and their labels."""
        count = max(1, round(self.labelled * self.side**2))
        return {
            "nodes": Variable(("label",), (count,), "labelled nodes", dtype="int64"),
            "labels": Variable(("label",), (count,), "their labels"),
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Nodes at random, normal labels."""
        count = self.variables()["nodes"].shape[0]
        nodes = np.sort(random.choice(self.side**2, count, replace=False)).astype(np.int64)
        return {"nodes": nodes, "labels": 10.0 * random.standard_normal(count)}

    def assemble(self, fields: Fields) -> LinearSystem:
        """The system of the unlabelled nodes."""
        return label_system(lattice_graph(self.side), fields["nodes"], fields["labels"])


class MoonsLabels(Problem):
    """Two noisy half circles that interlock, joined by nearest neighbours; few points know their half circle."""

    name: ClassVar[str] = "moons-labels"
    summary: ClassVar[str] = "Label propagation on the nearest-neighbour graph of two interlocking half circles"
    reference: ClassVar[str] = _BCD

    points: int = Field(2000, ge=20, le=10**6, multiple_of=2, description="points, half of them on each half circle")
    labelled: float = Field(0.05, gt=0.0, lt=1.0, description="share of the points that have labels")
    neighbours: int = Field(5, ge=1, le=19, description="nearest neighbours of each point")
    noise: float = Field(0.1, ge=0.0, le=1.0, description="standard deviation of the points")

    def variables(self) -> dict[str, Variable]:
        """Points, the labelled ones and their labels."""
        count = max(2, round(self.labelled * self.points))
        return {
            "points": Variable(("point", "axis"), (self.points, 2), "points in the plane"),
            "nodes": Variable(("label",), (count,), "labelled points", dtype="int64"),
            "labels": Variable(("label",), (count,), "their labels, the half circle"),
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Points, of which one in each component of the graph and others at random are labelled.

        Points whose graph has more components than there are labels are drawn anew.
        """
        half, count = self.points // 2, self.variables()["nodes"].shape[0]
        moon = np.repeat([-1.0, 1.0], half)
        while True:
            angles = np.pi * random.random(self.points)
            upper = np.column_stack([np.cos(angles), np.sin(angles)])
            points = np.where(moon[:, None] > 0.0, upper, np.array([1.0, 0.5]) - upper)
            points += self.noise * random.standard_normal(points.shape)
            components, component = connected_components(neighbour_graph(points, self.neighbours), directed=False)
            if components <= count:
                break
        order = random.permutation(self.points)
        first = order[np.unique(component[order], return_index=True)[1]]
        others = np.setdiff1d(order, first, assume_unique=True)
        chosen = np.concatenate([first, random.permutation(others)[: count - components]])
        nodes = np.sort(chosen).astype(np.int64)
        return {"points": points, "nodes": nodes, "labels": moon[nodes]}

    def assemble(self, fields: Fields) -> LinearSystem:
        """The system of the unlabelled points."""
        graph = neighbour_graph(fields["points"], self.neighbours)
        return label_system(graph, fields["nodes"], fields["labels"])
