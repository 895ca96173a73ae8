"""Twelve problems with equality constraints of the collection of Hock and Schittkowski."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from data.optimization.constrained.smooth_functions import (
    Array,
    LinearFormPowers,
    LogarithmOfSquare,
    Polynomial,
    SineOfForm,
    SmoothFunction,
    Sum,
    Vector,
)
from data.problem import Fields, Problem, Variable, instance_index

MOST_VARIABLES = 5
ROOT_2 = math.sqrt(2.0)


@dataclass(frozen=True, slots=True, eq=False)
class SmoothProgram:
    """Minimise a smooth function where others vanish.

    Attributes
    ----------
    function : SmoothFunction
        The objective.
    constraint_functions : sequence of SmoothFunction
        The m constraints.
    start : ndarray, shape (n,), float64
    start_multipliers : ndarray, shape (m,), float64
    """

    function: SmoothFunction
    constraint_functions: Sequence[SmoothFunction]
    start: Vector
    start_multipliers: Vector

    def objective(self, x: Vector) -> float:
        """The objective f at x."""
        return self.function.value(x)

    def gradient(self, x: Vector) -> Vector:
        """The gradient of f, shape (n,)."""
        return self.function.gradient(x)

    def constraints(self, x: Vector) -> Vector:
        """The constraints c at x, shape (m,)."""
        return np.array([constraint.value(x) for constraint in self.constraint_functions])

    def jacobian(self, x: Vector) -> Array:
        """The Jacobian of c, shape (m, n)."""
        return np.array([constraint.gradient(x) for constraint in self.constraint_functions])

    def hessian(self, x: Vector, multipliers: Vector) -> Array:
        """The Hessian of the Lagrangian f + multipliers @ c, shape (n, n)."""
        total = self.function.hessian(x)
        for multiplier, constraint in zip(multipliers, self.constraint_functions, strict=True):
            total = total + multiplier * constraint.hessian(x)
        return total


@dataclass(frozen=True, eq=False)
class CollectionProblem:
    """A problem of the collection: its number, functions and start, its least objective and where that lies."""

    number: int
    function: SmoothFunction
    constraints: Sequence[SmoothFunction]
    start: Sequence[float]
    least_objective: float
    minimiser: Sequence[float]

    def program(self, start: Vector) -> SmoothProgram:
        """The program that methods take; CUTEst's multipliers start at zero."""
        return SmoothProgram(self.function, self.constraints, start, np.zeros(len(self.constraints)))


def _linear(form: Sequence[float], offset: float = 0.0) -> SmoothFunction:
    """``form @ x - offset``."""
    return LinearFormPowers([form], offset, 1)


@lru_cache(maxsize=1)
def collection() -> tuple[CollectionProblem, ...]:
    """The twelve problems, by their numbers in the collection.

    References
    ----------
    .. [1] W. Hock, K. Schittkowski, "Test examples for nonlinear programming codes", Lecture Notes in Economics and
       Mathematical Systems 187, Springer 1981.
    """
    eye = np.eye(5)
    three_on_a_line = (_linear([1, 2, 3, 0, 0], 6), _linear([0, 1, 2, 3, 0], 6), _linear([0, 0, 1, 2, 3], 6))
    two_on_a_line = (_linear([0, 0, 1, 1, -2]), _linear([0, 1, 0, 0, -1]))
    return (
        CollectionProblem(
            6,
            LinearFormPowers([[1, 0]], [1]),
            (Polynomial([10, -10], [[0, 1], [2, 0]]),),
            (-1.2, 1),
            0.0,
            (1, 1),
        ),
        CollectionProblem(
            7,
            Sum((LogarithmOfSquare(0), _linear([0, -1]))),
            # (1 + x1^2)^2 + x2^2 - 4, expanded
            (Polynomial([-3, 2, 1, 1], [[0, 0], [2, 0], [4, 0], [0, 2]]),),
            (2, 2),
            -math.sqrt(3.0),
            (0, math.sqrt(3.0)),
        ),
        CollectionProblem(
            28,
            LinearFormPowers([[1, 1, 0], [0, 1, 1]]),
            (_linear([1, 2, 3], 1),),
            (-4, 1, 1),
            0.0,
            (0.5, -0.5, 0.5),
        ),
        CollectionProblem(
            40,
            Polynomial([-1], [[1, 1, 1, 1]]),
            (
                Polynomial([1, 1, -1], [[3, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0, 0]]),
                Polynomial([1, -1], [[2, 0, 0, 1], [0, 0, 1, 0]]),
                Polynomial([1, -1], [[0, 0, 0, 2], [0, 1, 0, 0]]),
            ),
            (0.8, 0.8, 0.8, 0.8),
            -0.25,
            (2 ** (-1 / 3), 2 ** (-1 / 2), 2 ** (-11 / 12), 2 ** (-1 / 4)),
        ),
        CollectionProblem(
            42,
            LinearFormPowers(np.eye(4), [1, 2, 3, 4]),
            (_linear([1, 0, 0, 0], 2), Polynomial([1, 1, -2], [[0, 0, 2, 0], [0, 0, 0, 2], [0, 0, 0, 0]])),
            (1, 1, 1, 1),
            28 - 10 * ROOT_2,
            (2, 2, 0.6 * ROOT_2, 0.8 * ROOT_2),
        ),
        CollectionProblem(
            48,
            LinearFormPowers([eye[0], eye[1] - eye[2], eye[3] - eye[4]], [1, 0, 0]),
            (_linear([1, 1, 1, 1, 1], 5), _linear([0, 0, 1, -2, -2], -3)),
            (3, 5, -3, 2, -2),
            0.0,
            (1, 1, 1, 1, 1),
        ),
        CollectionProblem(
            50,
            LinearFormPowers(eye[:4] - eye[1:], powers=[2, 2, 4, 2]),
            three_on_a_line,
            (35, -31, 11, 5, -5),
            0.0,
            (1, 1, 1, 1, 1),
        ),
        CollectionProblem(
            51,
            LinearFormPowers([eye[0] - eye[1], eye[1] + eye[2], eye[3], eye[4]], [0, 2, 1, 1]),
            (_linear([1, 3, 0, 0, 0], 4), *two_on_a_line),
            (2.5, 0.5, 2, -1, 0.5),
            0.0,
            (1, 1, 1, 1, 1),
        ),
        CollectionProblem(
            52,
            LinearFormPowers([4 * eye[0] - eye[1], eye[1] + eye[2], eye[3], eye[4]], [0, 2, 1, 1]),
            (_linear([1, 3, 0, 0, 0]), *two_on_a_line),
            (2, 2, 2, 2, 2),
            1859 / 349,
            (-33 / 349, 11 / 349, 180 / 349, -158 / 349, 11 / 349),
        ),
        CollectionProblem(
            77,
            LinearFormPowers([eye[0], eye[0] - eye[1], eye[2], eye[3], eye[4]], [1, 0, 1, 1, 1], [2, 2, 2, 4, 6]),
            (
                Sum((Polynomial([1, -2 * ROOT_2], [[2, 0, 0, 1, 0], [0] * 5]), SineOfForm(eye[3] - eye[4]))),
                Polynomial([1, 1, -8 - ROOT_2], [[0, 1, 0, 0, 0], [0, 0, 4, 2, 0], [0] * 5]),
            ),
            (2, 2, 2, 2, 2),
            0.24150513,
            (1.166172, 1.182111, 1.380257, 1.506036, 0.6109203),
        ),
        CollectionProblem(
            78,
            Polynomial([1], [[1, 1, 1, 1, 1]]),
            (
                Polynomial([1, 1, 1, 1, 1, -10], [*(2 * eye), [0] * 5]),
                Polynomial([1, -5], [[0, 1, 1, 0, 0], [0, 0, 0, 1, 1]]),
                Polynomial([1, 1, 1], [3 * eye[0], 3 * eye[1], [0] * 5]),
            ),
            (-2, 1.5, 2, -1, -1),
            -2.91970041,
            (-1.717142, 1.595708, 1.827248, -0.7636429, -0.7636435),
        ),
        CollectionProblem(
            79,
            LinearFormPowers([eye[0], *(eye[:4] - eye[1:])], [1, 0, 0, 0, 0], [2, 2, 2, 4, 4]),
            (
                Polynomial([1, 1, 1, -2 - 3 * ROOT_2], [eye[0], 2 * eye[1], 3 * eye[2], [0] * 5]),
                Polynomial([1, -1, 1, 2 - 2 * ROOT_2], [eye[1], 2 * eye[2], eye[3], [0] * 5]),
                Polynomial([1, -2], [[1, 0, 0, 0, 1], [0] * 5]),
            ),
            (2, 2, 2, 2, 2),
            0.0787768209,
            (1.191127, 1.362603, 1.472818, 1.635017, 1.679081),
        ),
    )


class HockSchittkowski(Problem):
    """Twelve problems of two to five variables, in turn, from the collection's own starts."""

    name: ClassVar[str] = "hock-schittkowski"
    summary: ClassVar[str] = "twelve small problems with equality constraints (Hock and Schittkowski, 1981)"
    reference: ClassVar[str] = (
        'W. Hock, K. Schittkowski, "Test Examples for Nonlinear Programming Codes" (Springer, 1981)'
    )

    def variables(self) -> dict[str, Variable]:
        """The problem's number and start."""
        return {
            "number": Variable((), (), "number in the collection", dtype="int64"),
            "start": Variable(("variable",), (MOST_VARIABLES,), "start, filled up with zeros"),
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Instance i is the problem i modulo 12; nothing is drawn."""
        problem = collection()[instance_index(random) % len(collection())]
        start = np.zeros(MOST_VARIABLES)
        start[: len(problem.start)] = problem.start
        return {"number": np.array(problem.number, np.int64), "start": start}

    def assemble(self, fields: Fields) -> SmoothProgram:
        """The functions of the problem with that number."""
        problem = next(problem for problem in collection() if problem.number == int(fields["number"]))
        return problem.program(np.array(fields["start"][: len(problem.start)], np.float64))
