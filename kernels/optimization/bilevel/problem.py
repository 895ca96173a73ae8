"""What a method sees of a bilevel problem: oracles on minibatches, one or many lower-level problems at a time."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Blocks = NDArray[np.float64]
Indices = NDArray[np.intp]


class BilevelProblem(Protocol):
    """min_x F(x) = (1/m) sum_i f_i(x, y_i(x)), y_i(x) = argmin_y g_i(x, y), each g_i strongly convex in y.

    Oracles take the blocks they are asked about, shape (b,), the rows ``y`` of these, shape (b, q), and the minibatch
    they are evaluated on, which a problem draws and alone can read; None stands for the expectation. The same minibatch
    can be asked at several points.
    """

    @property
    def blocks(self) -> int:
        """The number m of lower-level problems."""
        ...

    @property
    def upper_start(self) -> Vector:
        """Where x starts, shape (p,), float64."""
        ...

    @property
    def lower_start(self) -> Matrix:
        """Where all y_i start, shape (m, q), float64."""
        ...

    @property
    def strong_convexity(self) -> float:
        """A positive lower bound mu on the eigenvalues of all Hess_yy g_i."""
        ...

    def draw_lower(self, blocks: Indices, batch: int, random: np.random.Generator) -> Any:
        """A minibatch of ``batch`` samples of every g_i."""
        ...

    def draw_upper(self, blocks: Indices, batch: int, random: np.random.Generator) -> Any:
        """A minibatch of ``batch`` samples of every f_i."""
        ...

    def upper_value(self, x: Vector, y: Matrix, blocks: Indices, minibatch: Any = None) -> float:
        """The mean of f_i over the blocks."""
        ...

    def lower_value(self, x: Vector, y: Matrix, blocks: Indices, minibatch: Any = None) -> Vector:
        """The values g_i, shape (b,)."""
        ...

    def upper_gradient(self, x: Vector, y: Matrix, blocks: Indices, minibatch: Any = None) -> tuple[Vector, Matrix]:
        """The mean of grad_x f_i over the blocks, shape (p,), and every grad_y f_i, shape (b, q)."""
        ...

    def lower_gradient(self, x: Vector, y: Matrix, blocks: Indices, minibatch: Any = None) -> Matrix:
        """Every grad_y g_i, shape (b, q)."""
        ...

    def lower_hessian(self, x: Vector, y: Matrix, blocks: Indices, minibatch: Any = None) -> Blocks:
        """Every Hess_yy g_i, shape (b, q, q)."""
        ...

    def hessian_product(self, x: Vector, y: Matrix, v: Matrix, blocks: Indices, minibatch: Any = None) -> Matrix:
        """Every Hess_yy g_i v_i for rows v_i, shape (b, q)."""
        ...

    def cross_product(self, x: Vector, y: Matrix, v: Matrix, blocks: Indices, minibatch: Any = None) -> Vector:
        """The mean of Hess_xy g_i v_i over the blocks, shape (p,)."""
        ...

    def progress(self, x: Vector, y: Matrix) -> float:
        """What a run is judged by, such as the exact ||grad F(x)|| or f(x, y); no method pays for it or sees it."""
        ...
