"""What the backtracking line searches of the merit functions share."""

import math

import numpy as np

MOST_HALVINGS = 60


def late_step_length(steps: list[float], count: int = 3) -> float:
    """The shortest of the last accepted steps; 1 where there was none."""
    return min(steps[-count:], default=1.0)


def rounding_of(value: float) -> float:
    """By how much a function's value may rise by rounding alone, which near a solution is more than it falls."""
    return 10.0 * float(np.finfo(np.float64).eps) * max(abs(value), 1.0) if math.isfinite(value) else 0.0
