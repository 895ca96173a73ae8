"""The method of manufactured solutions: the order at which a discretisation converges, observed."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import spsolve

from data.pde.grid_operators import cell_centres
from data.pde.time_stepping import ImplicitMidpoint, Linearisation

Array = NDArray[np.float64]


class Manufactured(NamedTuple):
    """A discretised equation whose exact solution is known.

    Attributes
    ----------
    spacing : float
        The mesh width.
    matrix : csr_array, shape (n, n), float64
    rhs : ndarray, shape (n,), float64
    exact : ndarray, shape (n,), float64
        The solution of the differential equation at the unknowns' points.
    """

    spacing: float
    matrix: sp.csr_array
    rhs: Array
    exact: Array


def observed_order(discretise: Callable[[int], Manufactured], grids: Sequence[int] = (16, 32, 64)) -> float:
    """Fit p in error = C h^p to the root-mean-square errors of a manufactured solution on several grids.

    Parameters
    ----------
    discretise : callable
        Resolution -> the discretised equation and its exact solution; it must go through the assembly under test.
    grids : sequence of int
        At least three resolutions.

    Returns
    -------
    float
        The slope, by least squares, of the logarithm of the error against the logarithm of the mesh width.

    Raises
    ------
    ValueError
        If there are fewer than three grids, or an error is zero or not finite.
    """
    _require_three(grids)
    spacings, errors = [], []
    for grid in grids:
        spacing, matrix, rhs, exact = discretise(grid)
        solution = spsolve(matrix.tocsc(), rhs)
        spacings.append(spacing)
        errors.append(float(np.linalg.norm(solution - exact)) / np.sqrt(exact.size))
    return _slope(spacings, errors)


class ManufacturedEvolution(NamedTuple):
    """A discretised time-dependent equation whose solution (1 + t) ``shape`` the scheme follows exactly in time.

    Attributes
    ----------
    spacing : float
        The mesh width.
    linearisation : callable
        Of the fluxes, for the time step ``TIME_STEP``.
    shape : ndarray, shape (n,), float64
        The solution of the differential equation at time 0, at the unknowns' points.
    load : callable
        Time -> the integrals over the cells of the source that the solution needs.
    """

    spacing: float
    linearisation: Linearisation
    shape: Array
    load: Callable[[float], Array]


TIME_STEP = 0.25


def observed_order_in_space(
    discretise: Callable[[int], ManufacturedEvolution], grids: Sequence[int] = (16, 32, 64)
) -> float:
    """Fit p in error = C h^p to the errors at time 1 of a solution on several grids, where time makes none.

    Parameters
    ----------
    discretise : callable
        Cells per side -> the discretised equation; it must go through the assembly under test.
    grids : sequence of int
        At least three resolutions.

    Raises
    ------
    ValueError
        If there are fewer than three grids, or an error is zero or not finite.
    """
    _require_three(grids)
    spacings, errors = [], []
    for grid in grids:
        spacing, linearisation, shape, load = discretise(grid)
        states = [(1.0 - TIME_STEP) * shape, shape]
        for middle in np.arange(0.5 * TIME_STEP, 1.0, TIME_STEP):
            states.append(_step(ImplicitMidpoint(linearisation, spacing**2 / TIME_STEP, load(middle)), states))
        spacings.append(spacing)
        errors.append(float(np.linalg.norm(states[-1] - 2.0 * shape)) / np.sqrt(shape.size))
    return _slope(spacings, errors)


def observed_order_in_time(
    linearise: Callable[[float], Linearisation], cells: int = 8, steps: Sequence[int] = (16, 32, 64)
) -> float:
    """Fit p in error = C dt^p to the errors at time 1 of a solution of the equations that are discrete in space.

    The solution is (1 + sin 3 t) times one grid function plus cos 2 t times another; its load is made with the
    operator under test, so that space makes no error. The first step has no state before, as in use.

    Parameters
    ----------
    linearise : callable
        Mass rate -> the linearisation under test, on ``cells`` x ``cells`` cells.
    cells : int
    steps : sequence of int
        At least three numbers of steps.

    Raises
    ------
    ValueError
        If there are fewer than three numbers of steps, or an error is zero or not finite.
    """
    _require_three(steps)
    y, x = np.meshgrid(*[np.pi * cell_centres(cells)] * 2, indexing="ij")
    first, second = (np.sin(y) * np.sin(2.0 * x)).ravel(), (np.sin(2.0 * y) * np.sin(x)).ravel()

    def exact(time: float) -> Array:
        return np.asarray((1.0 + np.sin(3.0 * time)) * first + np.cos(2.0 * time) * second)

    def slope(time: float) -> Array:
        return np.asarray(3.0 * np.cos(3.0 * time) * first - 2.0 * np.sin(2.0 * time) * second)

    errors = []
    for count in steps:
        mass_rate = count / cells**2
        linearisation = linearise(mass_rate)
        states = [exact(0.0)]
        for middle in (np.arange(count) + 0.5) / count:
            state = exact(middle)
            matrix, addition = linearisation(state)
            fluxes = 2.0 * (matrix @ state - mass_rate * state) - addition
            load = slope(middle) / cells**2 + fluxes
            states.append(_step(ImplicitMidpoint(linearisation, mass_rate, load), states))
        errors.append(float(np.linalg.norm(states[-1] - exact(1.0))) / cells)
    return _slope([1.0 / count for count in steps], errors)


def _step(scheme: ImplicitMidpoint, states: Sequence[Array]) -> Array:
    matrix, rhs = scheme(states)
    return np.asarray(spsolve(matrix.tocsc(), rhs))


def _require_three(grids: Sequence[int]) -> None:
    if len(grids) < 3:
        raise ValueError(f"grids = {tuple(grids)}: at least three are needed to observe an order")


def _slope(spacings: Sequence[float], errors: Sequence[float]) -> float:
    """The slope, by least squares, of the logarithms of the errors against those of the spacings."""
    if not all(np.isfinite(error) and error > 0.0 for error in errors):
        raise ValueError(f"errors = {errors}: an order needs errors that are finite and not zero")
    return float(np.polyfit(np.log(spacings), np.log(errors), 1)[0])
