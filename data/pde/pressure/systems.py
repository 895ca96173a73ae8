"""Pressure systems, each with a network that was trained on one other matrix: the instances of the study."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import pi
from typing import Any, ClassVar, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field, model_validator

from data.linear_system import LinearSystem
from data.pde.grid_operators import cell_centres, interior_vertices
from data.pde.pressure.domains import draw_divergence, draw_liquid, pressure_matrix
from data.pde.pressure.network import Network, weight_count
from data.pde.pressure.training import Training, trained_weights
from data.pde.verification import Manufactured, observed_order
from data.problem import Fields, Problem, Variable, instance_index
from data.validation import GridSize

# Of pyamg's rotated anisotropic diffusion.
ANISOTROPY, ANGLE = 0.1, pi / 6


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class NetworkSystem(LinearSystem):
    """A linear system on a square grid with a network that proposes search directions for it.

    Attributes
    ----------
    liquid : ndarray, shape (grid, grid), bool
        The cells with an equation of their own; the rows of the others are those of the identity.
    network : Network
    """

    liquid: NDArray[np.bool_]
    network: Network


def _manufactured(grid: int) -> Manufactured:
    """The solution u = y (1 - y) x (1 - x) exp(x), zero on the square through the centres of the first cells beyond."""
    line, spacing = interior_vertices(grid + 1), 1.0 / (grid + 1)
    y, x = np.meshgrid(line, line, indexing="ij")
    across, along = y * (1.0 - y), x * (1.0 - x) * np.exp(x)
    source = 2.0 * along + across * (x**2 + 3.0 * x) * np.exp(x)
    matrix = pressure_matrix(np.ones((grid, grid), dtype=np.bool_))
    return Manufactured(spacing, matrix, (spacing**2 * source).ravel(), (across * along).ravel())


@lru_cache(maxsize=1)
def pressure_order() -> float:
    """The order of convergence of the five-point scheme, observed."""
    return observed_order(_manufactured)


class TrainedProblem(Problem):
    """Systems in groups, each group with a network of its own; the defaults train one in a second, as a trial."""

    reference: ClassVar[str] = (
        'Kaneda et al., "A Deep Conjugate Direction Method for Iteratively Solving Linear Systems" (ICML 2023)'
    )
    extra: ClassVar[str] = "jax"

    grid: GridSize = Field(32, ge=4, description="cells per side of the unit square")
    systems_per_network: int = Field(20, ge=1, le=10**6, description="consecutive systems that share a network")
    training_grid: GridSize = Field(16, ge=4, le=256, description="cells per side of the square trained on")
    channels: int = Field(8, ge=1, le=64, description="of the network")
    levels: int = Field(2, ge=1, le=6, description="of the network, each of half the resolution of the one before")
    ritz_vectors: int = Field(60, ge=1, le=2000, description="Lanczos steps on the matrix trained on")
    vectors: int = Field(256, ge=1, le=10**5, description="right-hand sides trained on, mixed from the Ritz vectors")
    epochs: int = Field(2, ge=1, le=1000, description="passes over them")
    batch: int = Field(4, ge=1, le=1000, description="right-hand sides to a step of Adam")
    learning_rate: float = Field(2e-3, gt=0.0, le=1.0, description="the largest of Adam's")
    smoothness: float = Field(3.0, gt=1.0, le=10.0, description="alpha of the velocity's covariance")
    inverse_length: float = Field(5.0, gt=0.0, le=100.0, description="tau of the velocity's covariance")

    @model_validator(mode="after")
    def _parts_fit(self) -> "TrainedProblem":
        for name in ("grid", "training_grid"):
            if getattr(self, name) % 2 ** (self.levels - 1):
                raise ValueError(
                    f"{name}={getattr(self, name)} must be a multiple of 2^(levels - 1), levels={self.levels}"
                )
        if self.batch > self.vectors:
            raise ValueError(f"batch={self.batch} must be at most vectors={self.vectors}")
        return self

    def variables(self) -> dict[str, Variable]:
        """The network's weights and the right-hand side."""
        weights = weight_count(self.channels, self.levels)
        return {
            "weights": Variable(("weight",), (weights,), "weights of the trained network", dtype="float32"),
            "rhs": Variable(("y", "x"), (self.grid, self.grid), "-h^2 times the divergence of a random velocity"),
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """The divergence of a smooth velocity; the weights are those of the instance's group."""
        return {
            "weights": self._weights(random),
            "rhs": draw_divergence(random, self.grid, self.smoothness, self.inverse_length),
        }

    @abstractmethod
    def assemble(self, fields: Fields) -> NetworkSystem:
        """The system with its network."""

    def verification(self) -> dict[str, float]:
        """The observed order of convergence without pockets."""
        return {"observed_order": pressure_order()}

    def coordinates(self) -> dict[str, NDArray[Any]]:
        """The centres of the cells."""
        return {"y": cell_centres(self.grid), "x": cell_centres(self.grid)}

    def solution(self) -> Variable:
        """The pressure."""
        return Variable(("y", "x"), (self.grid, self.grid), "pressure at the centres of the cells")

    def _weights(self, random: np.random.Generator) -> NDArray[np.float32]:
        chosen = self.model_dump(include=set(Training.__dataclass_fields__) - {"grid"})
        training = Training(grid=self.training_grid, **chosen)
        sequence = random.bit_generator.seed_seq
        assert isinstance(sequence, np.random.SeedSequence)
        assert isinstance(sequence.entropy, int)
        return trained_weights(training, sequence.entropy, instance_index(random) // self.systems_per_network)

    def _system(self, matrix: sp.csr_array, liquid: NDArray[np.bool_], fields: Fields) -> NetworkSystem:
        rhs = fields["rhs"].ravel()
        network = Network(self.channels, self.levels, fields["weights"])
        return NetworkSystem(matrix, rhs, rhs, True, True, liquid=liquid, network=network)


class PressurePockets(TrainedProblem):
    """Poisson's equation for the pressure in a liquid with random pockets of air, where the pressure is zero."""

    name: ClassVar[str] = "pressure-pockets"
    summary: ClassVar[str] = "pressure of a liquid with random air pockets, and a network trained without pockets"

    def variables(self) -> dict[str, Variable]:
        """The network's weights, where the liquid is, and the right-hand side."""
        liquid = Variable(("y", "x"), (self.grid, self.grid), "1 in the liquid, 0 in the pockets", dtype="int8")
        return super().variables() | {"liquid": liquid}

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """The pockets, then the divergence, zero in them."""
        liquid = draw_liquid(random, self.grid)
        drawn = super().draw(random)
        return {**drawn, "rhs": drawn["rhs"] * liquid, "liquid": liquid.astype(np.int8)}

    def assemble(self, fields: Fields) -> NetworkSystem:
        """With the rows of the identity in the pockets."""
        liquid = fields["liquid"] == 1
        return self._system(pressure_matrix(liquid), liquid, fields)


class PressureGallery(TrainedProblem):
    """The matrices of pyamg's gallery: Poisson's, which a network was trained on, and one that it never saw."""

    name: ClassVar[str] = "pressure-gallery"
    summary: ClassVar[str] = "matrices of pyamg's gallery, and a network trained on Poisson's"

    matrix: Literal["poisson", "diffusion"] = Field("poisson", description="diffusion: anisotropic and rotated")

    def assemble(self, fields: Fields) -> NetworkSystem:
        """With liquid everywhere."""
        liquid = np.ones((self.grid, self.grid), dtype=np.bool_)
        return self._system(GALLERY[self.matrix](self.grid), liquid, fields)


@lru_cache(maxsize=8)
def _gallery_poisson(grid: int) -> sp.csr_array:
    from pyamg.gallery import poisson

    return _canonical(poisson((grid, grid), format="csr"))


@lru_cache(maxsize=8)
def _gallery_diffusion(grid: int) -> sp.csr_array:
    from pyamg.gallery import diffusion_stencil_2d, stencil_grid

    stencil = diffusion_stencil_2d(epsilon=ANISOTROPY, theta=ANGLE, type="FE")
    return _canonical(stencil_grid(stencil, (grid, grid), format="csr"))


def _canonical(matrix: Any) -> sp.csr_array:
    converted = sp.csr_array(matrix, dtype=np.float64)
    converted.sum_duplicates()
    return converted


GALLERY: dict[str, Callable[[int], sp.csr_array]] = {"poisson": _gallery_poisson, "diffusion": _gallery_diffusion}
