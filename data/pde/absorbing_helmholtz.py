"""Waves that leave the square: -Laplace u - k(x, y)^2 u = f with du/dn = i k u on the boundary, u complex.

The condition on the boundary is that of a wave, proportional to exp(-i omega t), which travels straight outwards. The
complex system is handed on as the equivalent real one, in which the real and the imaginary part of a point follow each
other.
"""

from functools import lru_cache
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from data.linear_system import LinearSystem
from data.pde.fluxes import diffusion_stencil, uniform_conductances
from data.pde.grid_operators import cell_centres, five_point
from data.pde.helmholtz import Helmholtz
from data.pde.random_fields import gaussian_field
from data.pde.verification import Manufactured, observed_order
from data.problem import Fields, Variable

Array = NDArray[np.float64]


def absorbing_system(wave_number: Array, source: NDArray[np.complex128]) -> tuple[sp.csr_array, Array]:
    """Balance the fluxes of -Laplace u - k^2 u = f over the cells, du/dn = i k u on the boundary, in real numbers.

    Between the centre of a cell and the boundary, half a cell away, u is linear; eliminating its value there leaves
    the outward slope i k u / (1 - i k h / 2). The wave number is taken to be that of the cell: it must have no slope
    across the boundary, as the random fields have none.

    Parameters
    ----------
    wave_number : ndarray, shape (n, n), float64
        k at the cell centres, indexed (y, x).
    source : ndarray, shape (n, n), complex128
        f at the cell centres.

    Returns
    -------
    matrix : csr_array, shape (2 n^2, 2 n^2), float64
        Every entry a + i b of the complex matrix is the block [[a, -b], [b, a]]. Nonsymmetric.
    rhs : ndarray, shape (2 n^2,), float64
        The integrals of the source over the cells, real and imaginary parts in turn.
    """
    cells = len(wave_number)
    phase = wave_number / cells  # k h
    closed = np.zeros(wave_number.shape, dtype=np.complex128)
    for side in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        closed[side] += 2.0 + 1j * phase[side] / (1.0 - 0.5j * phase[side])
    south, west, centre, east, north = diffusion_stencil(*uniform_conductances(cells, 1.0))
    real = five_point(south, west, centre - closed.real - phase**2, east, north)
    imaginary = sp.diags_array(-closed.imag.ravel())
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    matrix = sp.csr_array(sp.kron(real, np.eye(2), format="csr") + sp.kron(imaginary, turn, format="csr"))
    matrix.sort_indices()
    return matrix, (source.ravel() / cells**2).view(np.float64)


def _manufactured(cells: int) -> Manufactured:
    """The solution exp(i k0 (x^2 - x + y^2 - y)), which leaves through all sides; on them, k = k0."""
    y, x = np.meshgrid(cell_centres(cells), cell_centres(cells), indexing="ij")
    k0 = 6.0
    exact = np.exp(1j * k0 * (x**2 - x + y**2 - y))
    wave_number = k0 + (np.sin(np.pi * x) * np.sin(np.pi * y)) ** 2
    laplacian = (4j * k0 - k0**2 * ((2.0 * x - 1.0) ** 2 + (2.0 * y - 1.0) ** 2)) * exact
    system = absorbing_system(wave_number, -laplacian - wave_number**2 * exact)
    return Manufactured(1.0 / cells, *system, exact.ravel().view(np.float64))


@lru_cache(maxsize=1)
def absorbing_order() -> float:
    """The order of convergence of :func:`absorbing_system`, observed."""
    return observed_order(_manufactured)


class AbsorbingHelmholtz(Helmholtz):
    """A Gaussian source in an open square whose wave number is k0 (1 + amplitude g), g a clipped Gaussian random field.

    The medium and the source are those of ``helmholtz``, at the cell centres.
    """

    name: ClassVar[str] = "helmholtz-absorbing"
    summary: ClassVar[str] = "Helmholtz's equation with absorbing sides, complex, as a real system of twice the size"
    reference: ClassVar[str] = (
        'Ernst and Gander, "Why it is difficult to solve Helmholtz problems with classical iterative methods", '
        "Numerical Analysis of Multiscale Problems (Springer 2012)"
    )

    def _line(self) -> Array:
        return cell_centres(self.grid)

    def _medium(self, random: np.random.Generator) -> Array:
        return gaussian_field(random, self.grid, self.smoothness, self.inverse_length)

    def assemble(self, fields: Fields) -> LinearSystem:
        """The real equivalent system, nonsymmetric."""
        wave_number = fields["wave_number"]
        return LinearSystem(*absorbing_system(wave_number, fields["source"].astype(np.complex128)), wave_number.ravel())

    def solution(self) -> Variable:
        """The amplitude: along ``part`` its real and imaginary part."""
        return Variable(
            ("y", "x", "part"), (self.grid, self.grid, 2), "complex wave amplitude at cell centres (re, im)"
        )

    def verification(self) -> dict[str, float]:
        """The observed order of convergence and the resolution of the waves."""
        return {"observed_order": absorbing_order(), "points_per_wavelength": self.points_per_wavelength}
