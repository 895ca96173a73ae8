"""The rules of a network: conductances in series and in parallel, over whole planes."""

import numpy as np

from kernels.linear_systems.compiled import kernel
from kernels.linear_systems.grid_multigrid.layout import Scalar, Workspace

_QUARTER, _HALF, _ONE = np.float32(0.25), np.float32(0.5), np.float32(1.0)


@kernel
def series(w: Workspace, size: int, out: int, between: int, inside: int, step: int) -> None:
    """The conductance between the centres of coarse cells: the face between them and half of the one inside each."""
    o, b, first, second = np.uint64(out), np.uint64(between), np.uint64(inside), np.uint64(inside + step)
    for k in range(np.uint64(size)):
        w[o + k] = _ONE / (w[b + k] + _HALF * (w[first + k] + w[second + k]))


@kernel
def share(
    w: Workspace, size: int, out: int, line: int, near: int, far: int, inside_near: int, inside_far: int, step: int
) -> None:
    """The part of a line's conductance that belongs to the next coarse cell across it.

    The line runs from the far half of a block to the near half of the next one, ``step`` further; in both its value is
    interpolated across, with the weight (half the resistance inside the block) * (conductance between the centres).
    """
    o, c = np.uint64(out), np.uint64(line)
    path_far, path_near = np.uint64(far), np.uint64(near + step)
    in_far, in_near = np.uint64(inside_far), np.uint64(inside_near + step)
    for k in range(np.uint64(size)):
        w[o + k] = w[c + k] * _QUARTER * (w[in_far + k] * w[path_far + k] + w[in_near + k] * w[path_near + k])


@kernel
def parallel(
    w: Workspace, size: int, out: int, first: int, second: int, given_back: int, given_on: int, step: int
) -> None:
    """Add up the two lines of a coarse cell, less what they give to its neighbours, and what these give to it."""
    o, a, b = np.uint64(out), np.uint64(first), np.uint64(second)
    back, on = np.uint64(given_back), np.uint64(given_on)
    from_next, from_previous = np.uint64(given_back + step), np.uint64(given_on - step)
    for k in range(np.uint64(size)):
        own = (w[a + k] - w[back + k]) + (w[b + k] - w[on + k])
        w[o + k] = own + (w[from_next + k] + w[from_previous + k])


@kernel
def add(w: Workspace, size: int, out: int, a: int, b: int, c: int, d: int) -> None:
    """Write the sum of four planes: that of the cells of a 2 x 2 block."""
    o, first, second, third, fourth = np.uint64(out), np.uint64(a), np.uint64(b), np.uint64(c), np.uint64(d)
    for k in range(np.uint64(size)):
        w[o + k] = (w[first + k] + w[second + k]) + (w[third + k] + w[fourth + k])


@kernel
def add_pair(w: Workspace, size: int, out: int, a: int, b: int) -> None:
    """Write the sum of two planes: faces side by side, or cells that are joined."""
    o, first, second = np.uint64(out), np.uint64(a), np.uint64(b)
    for k in range(np.uint64(size)):
        w[o + k] = w[first + k] + w[second + k]


@kernel
def upwind(w: Workspace, size: int, conductance: int, flow: int, fraction: Scalar) -> None:
    """Raise the conductances that are below this fraction of the flow: half of it is full upwinding."""
    c, f = np.uint64(conductance), np.uint64(flow)
    for k in range(np.uint64(size)):
        w[c + k] = max(w[c + k], fraction * abs(w[f + k]))
