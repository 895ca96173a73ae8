"""Fluxes through the faces of equal cells of the unit square or cube, balanced over every cell; u = 0 outside.

A face passes conductance (u_before - u_behind) + flow (u_before + u_behind) / 2.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Stencil = tuple[Array, Array, Array, Array, Array]
"""The coefficients for the values in the south, west, centre, east and north, each of shape (rows, columns)."""


def face_conductances(coefficient: Array, axis: int) -> Array:
    """Conductances of the faces across one axis, between the centres of the cells that they part.

    A face between two cells conducts with the harmonic mean of their coefficients, which is exact for layers in series;
    a boundary face is half a cell from its cell's centre.

    Parameters
    ----------
    coefficient : ndarray, float64
        Positive, of every cell.
    axis : int
        The direction of the flux.

    Returns
    -------
    ndarray, float64
        One longer than ``coefficient`` along ``axis``.
    """
    cells = np.moveaxis(coefficient, axis, 0)
    faces = np.empty((len(cells) + 1, *cells.shape[1:]))
    faces[0], faces[-1] = 2.0 * cells[0], 2.0 * cells[-1]
    resistance = 0.5 / cells
    faces[1:-1] = 1.0 / (resistance[:-1] + resistance[1:])
    return np.moveaxis(faces, 0, axis)


def diffusion_stencil(conductance_y: Array, conductance_x: Array) -> Stencil:
    """The net diffusive flux out of every cell.

    Parameters
    ----------
    conductance_y, conductance_x : ndarray, shapes (rows + 1, columns) and (rows, columns + 1), float64
        Of the faces across y and across x.

    Returns
    -------
    Stencil
        Symmetric, positive definite.
    """
    south, north, west, east = conductance_y[:-1], conductance_y[1:], conductance_x[:, :-1], conductance_x[:, 1:]
    return -south, -west, south + west + east + north, -east, -north


def uniform_conductances(cells: int, coefficient: float) -> tuple[Array, Array]:
    """The conductances of the faces across y and across x of a uniform medium in the unit square."""
    across_x = np.full((cells, cells + 1), coefficient)
    across_x[:, [0, -1]] *= 2.0  # the boundary is half a cell from the centres beside it
    return across_x.T, across_x


def face_flows(stream_function: Array) -> tuple[Array, Array]:
    """The flow through the faces across y and across x, from psi at the vertices, v = (d psi / dy, -d psi / dx).

    It is the difference of the stream function between the two ends of a face, so that what enters a cell leaves it
    again, to rounding.
    """
    return -np.diff(stream_function, axis=1), np.diff(stream_function, axis=0)


def convection_stencil(conductance_y: Array, conductance_x: Array, flow_y: Array, flow_x: Array) -> Stencil:
    """The net flux out of every cell, diffusive and carried by a flow.

    Parameters
    ----------
    conductance_y, conductance_x : ndarray, shapes (rows + 1, columns) and (rows, columns + 1), float64
        Of the faces across y and across x.
    flow_y, flow_x : ndarray, of the same shapes, float64
        Volume that crosses each face per unit time, towards growing y and x. What crosses the boundary carries u = 0
        and does not count.

    Returns
    -------
    Stencil
        Nonsymmetric. Where the flow has no divergence, the symmetric part is that of the diffusion alone.
    """
    flow_y, flow_x = flow_y.copy(), flow_x.copy()
    flow_x[:, [0, -1]] = 0.0
    flow_y[[0, -1]] = 0.0
    from_before_x, from_behind_x = conductance_x + 0.5 * flow_x, conductance_x - 0.5 * flow_x
    from_before_y, from_behind_y = conductance_y + 0.5 * flow_y, conductance_y - 0.5 * flow_y
    centre = from_before_x[:, 1:] + from_behind_x[:, :-1] + from_before_y[1:] + from_behind_y[:-1]
    return -from_before_y[:-1], -from_before_x[:, :-1], centre, -from_behind_x[:, 1:], -from_behind_y[1:]
