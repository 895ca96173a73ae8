"""Refinement that minimises the residual over its corrections so far, for factors too coarse for plain refinement."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.linear_systems.types import Vector

Block = NDArray[np.float64]


class Acceleration:
    """Generalised conjugate residuals of one system; the corrections of its refinement are the search directions.

    Refinement solves for corrections with factors of limited precision; where these leave some modes (near a
    resonance, across a high contrast) almost unchanged, a few steps that minimise the residual remove them, as
    GMRES-based refinement does (Carson and Higham 2017). Eisenstat, Elman and Schultz (1983), algorithm GCR, with the
    factors as preconditioner.

    Parameters
    ----------
    rhs : ndarray, shape (n,), float64
        Refinement began with a solution of zero, so all its corrections up to the first :meth:`minimise` are one.
    most_directions : int
        How often :meth:`minimise` will be called at most.
    """

    def __init__(self, rhs: Vector, most_directions: int) -> None:
        shape = most_directions + 1, rhs.size
        # pages of steps that are not needed are never touched
        self._directions, self._images = np.empty(shape), np.empty(shape)
        self._directions[0], self._images[0] = 0.0, rhs
        self._count = 0

    def minimise(self, solution: Vector, residual: Vector) -> None:
        """Move a corrected solution to the least residual norm that the corrections allow.

        Parameters
        ----------
        solution, residual : ndarray, shape (n,), float64
            The solution after its correction and its residual; overwritten by those that were found.
        """
        minimise_residual(self._directions, self._images, self._count, solution, residual)
        self._count += 1


@njit(cache=True)
def minimise_residual(directions: Block, images: Block, count: int, solution: Vector, residual: Vector) -> None:
    """Add a direction to ``count`` others, whose images under the matrix are orthonormal, and minimise along it.

    Row ``count`` holds the solution and the residual before the correction, on return the direction and its image;
    the row after it receives the solution and the residual that were found.
    """
    direction, image = directions[count], images[count]
    # step 1: the direction is the correction; its image is what it took from the residual
    direction[:] = solution - direction
    image -= residual
    # step 2: modified Gram-Schmidt
    for other in range(count):
        share = np.dot(images[other], image)
        image -= share * images[other]
        direction -= share * directions[other]
    length = np.linalg.norm(image)
    if length > 0.0:
        image /= length
        direction /= length
    # step 3: minimise along all directions: rounding leaves a little in those before
    for other in range(count + 1):
        step = np.dot(images[other], residual)
        solution += step * directions[other]
        residual -= step * images[other]
    # the next direction begins where these end
    directions[count + 1] = solution
    images[count + 1] = residual
