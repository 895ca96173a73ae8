"""Steady heat conduction in a slotted block, by linear finite elements on an irregular mesh of triangles."""

from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field
from scipy.spatial import Delaunay

from data.linear_system import LinearSystem
from data.pde.verification import Manufactured, observed_order
from data.problem import Fields, Problem, Variable

Array = NDArray[np.float64]

# The block is 1 wide and 1.6 high, the slot in its middle 0.1 wide and 0.8 high; both are whole numbers of units.
_UNIT = 0.05
_BLOCK = (10, 16)  # half width and half height in units
_SLOT = (1, 8)
_JITTER = 0.25  # of the spacing; boundary edges keep acute opposite angles, so no maximum principle is lost


class Mesh(NamedTuple):
    """A triangulation of the slotted block.

    Attributes
    ----------
    nodes : ndarray, shape (n, 2), float64
        (x, y) of every node.
    triangles : ndarray, shape (m, 3), int32
        The nodes of every triangle.
    left, right, free : ndarray of int
        The nodes of prescribed temperature on either side, and all others.
    """

    nodes: Array
    triangles: NDArray[np.int32]
    left: NDArray[np.intp]
    right: NDArray[np.intp]
    free: NDArray[np.intp]


@lru_cache(maxsize=8)
def slotted_block(refinement: int, seed: int) -> Mesh:
    """Triangulate the block: a grid whose interior nodes are moved at random, then Delaunay's triangulation.

    Parameters
    ----------
    refinement : int
        Mesh widths per 0.05 of length.
    seed : int
        Of the displacements.

    Returns
    -------
    Mesh
        Shared between calls: do not modify it.
    """
    width, height = refinement * np.array(_BLOCK)
    slot_width, slot_height = refinement * np.array(_SLOT)
    column, row = np.meshgrid(np.arange(-width, width + 1), np.arange(-height, height + 1))
    outside_slot = (np.abs(column) >= slot_width) | (np.abs(row) >= slot_height)
    column, row = column[outside_slot], row[outside_slot]
    on_slot = (np.abs(column) <= slot_width) & (np.abs(row) <= slot_height)
    on_block = (np.abs(column) == width) | (np.abs(row) == height)

    displacement = np.random.default_rng(seed).uniform(-_JITTER, _JITTER, (column.size, 2))
    displacement[on_slot | on_block] = 0.0
    spacing = _UNIT / refinement
    nodes = spacing * (np.stack((column, row), axis=1) + displacement)

    triangles: NDArray[np.int32] = Delaunay(nodes).simplices
    centroid_x, centroid_y = np.abs(nodes[triangles].mean(axis=1)).T
    half_width, half_height = _UNIT * np.array(_SLOT)
    triangles = triangles[(centroid_x > half_width) | (centroid_y > half_height)]

    left, right = np.flatnonzero(column == -width), np.flatnonzero(column == width)
    return Mesh(nodes, triangles, left, right, np.flatnonzero(np.abs(column) < width))


def _edges_and_areas(mesh: Mesh) -> tuple[Array, Array]:
    """The edge vectors opposite the corners of every triangle, shape (m, 3, 2), and the areas, shape (m,)."""
    corners = mesh.nodes[mesh.triangles]
    edges = np.roll(corners, -2, axis=1) - np.roll(corners, -1, axis=1)
    return edges, 0.5 * np.abs(edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0])


@lru_cache(maxsize=8)
def conduction_matrices(refinement: int, seed: int) -> tuple[sp.csr_array, sp.csr_array]:
    """Assemble the stiffness matrix of linear elements, conductivity 1, and cut it at the prescribed nodes.

    Parameters
    ----------
    refinement, seed : int
        As in :func:`slotted_block`.

    Returns
    -------
    free : csr_array, shape (f, f), float64
        The rows and columns of the free nodes: symmetric positive definite. Shared: do not modify it.
    coupling : csr_array, shape (f, l + r), float64
        The same rows, the columns of the nodes on the left and then on the right.
    """
    mesh = slotted_block(refinement, seed)
    edges, areas = _edges_and_areas(mesh)
    # the gradient of a corner's hat function is the opposite edge, turned by 90 degrees, over twice the area
    elements = edges @ edges.transpose(0, 2, 1) / (4.0 * areas[:, None, None])
    rows, columns = np.repeat(mesh.triangles, 3, axis=1), np.tile(mesh.triangles, (1, 3))
    size = len(mesh.nodes)
    entries = (elements.ravel(), (rows.ravel(), columns.ravel()))
    stiffness = sp.coo_array(entries, shape=(size, size)).tocsr()[mesh.free]
    free, coupling = stiffness[:, mesh.free], stiffness[:, np.concatenate((mesh.left, mesh.right))]
    free.sort_indices()
    return free, coupling


def conduction_rhs(coupling: sp.csr_array, left: Array, right: Array) -> Array:
    """The heat that the prescribed temperatures send to the free nodes, shape (f,).

    Parameters
    ----------
    coupling : csr_array, shape (f, l + r), float64
        From :func:`conduction_matrices`.
    left, right : ndarray, shapes (l,) and (r,), float64
        The temperatures of the prescribed nodes.
    """
    return np.asarray(-(coupling @ np.concatenate((left, right))))


def _load(mesh: Mesh, source: Array) -> Array:
    """Integrate a source, linear between the nodes, against the hat functions of all nodes."""
    _, areas = _edges_and_areas(mesh)
    corners = source[mesh.triangles]
    shares = areas[:, None] / 12.0 * (corners + corners.sum(axis=1, keepdims=True))
    return np.asarray(np.bincount(mesh.triangles.ravel(), shares.ravel(), len(mesh.nodes)), dtype=np.float64)


def _manufactured(refinement: int) -> Manufactured:
    """The temperature (1 + 4 (x^2 - 1/400)^2) cos(5 pi y / 2), which sends no heat through the insulated sides."""
    mesh = slotted_block(refinement, seed=0)
    x, y = mesh.nodes.T
    bump, wave = x**2 - _UNIT**2, np.cos(2.5 * np.pi * y)
    exact = (1.0 + 4.0 * bump**2) * wave
    source = (2.5 * np.pi) ** 2 * exact - 16.0 * (2.0 * x**2 + bump) * wave
    matrix, coupling = conduction_matrices(refinement, seed=0)
    rhs = conduction_rhs(coupling, exact[mesh.left], exact[mesh.right]) + _load(mesh, source)[mesh.free]
    return Manufactured(_UNIT / refinement, matrix, rhs, exact[mesh.free])


@lru_cache(maxsize=1)
def thermal_order() -> float:
    """The order of convergence of the linear elements on irregular meshes, observed."""
    return observed_order(_manufactured, grids=(1, 2, 3))


class Thermal(Problem):
    """Laplace's equation between a cold left and a warm right side, every other side insulated.

    The block is that of the paper's generator: 1 x 1.6 with a slot of 0.1 x 0.8 in its middle. The matrix is the same
    for every instance; only the two temperatures vary. (In the paper's repository the quantity drawn on the right is
    a heat flux; the paper's text says a temperature, and so it is here.) The observed order holds for smooth
    solutions; an instance's own solution has singularities at the four corners of the slot, which lower it to 4/3.

    ``coordinates`` gives x and y along ``node``, the nodes whose temperature is not prescribed.
    """

    name: ClassVar[str] = "thermal"
    summary: ClassVar[str] = "Heat conduction in a slotted block, irregular finite elements, mixed boundaries"
    reference: ClassVar[str] = (
        'Wang et al., "Accelerating Data Generation for Neural Operators via Krylov Subspace Recycling" (ICLR 2024)'
    )

    refinement: int = Field(2, ge=1, le=32, description="mesh widths per 0.05 of length; 4 gives 10,000 unknowns")
    mesh_seed: int = Field(0, ge=0, le=2**32 - 1, description="seed of the mesh's irregularity")

    def variables(self) -> dict[str, Variable]:
        """The two temperatures, which are all that an instance is made from."""
        return {
            f"{side}_temperature": Variable((), (), f"temperature of the {side} side", units="degC")
            for side in ("left", "right")
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """A temperature below zero on the left, one above on the right."""
        left, right = random.uniform((-100.0, 0.0), (0.0, 100.0))
        return {"left_temperature": np.asarray(left), "right_temperature": np.asarray(right)}

    def assemble(self, fields: Fields) -> LinearSystem:
        """The constant matrix, shared by all instances, and the heat that enters from the sides."""
        mesh = slotted_block(self.refinement, self.mesh_seed)
        matrix, coupling = conduction_matrices(self.refinement, self.mesh_seed)
        left, right = fields["left_temperature"], fields["right_temperature"]
        rhs = conduction_rhs(coupling, np.full(mesh.left.size, left), np.full(mesh.right.size, right))
        return LinearSystem(matrix, rhs, np.array([left, right]), symmetric=True, positive_definite=True)

    def coordinates(self) -> dict[str, NDArray[Any]]:
        """The places of the nodes; see the class."""
        mesh = slotted_block(self.refinement, self.mesh_seed)
        x, y = mesh.nodes[mesh.free].T.copy()
        return {"x": x, "y": y}

    def solution(self) -> Variable:
        """The temperature."""
        unknowns = slotted_block(self.refinement, self.mesh_seed).free.size
        return Variable(("node",), (unknowns,), "temperature at the nodes that are not prescribed", units="degC")

    def verification(self) -> dict[str, float]:
        """The observed order of convergence."""
        return {"observed_order": thermal_order()}
