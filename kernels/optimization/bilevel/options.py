"""Checks of the options that the bilevel methods share, and the schedules of their steps."""

import math


def check_positive(**options: float) -> None:
    """Check that options are positive and finite.

    Raises
    ------
    ValueError
        If one is not; the message names it.
    """
    for name, value in options.items():
        if not 0.0 < value < math.inf:
            raise ValueError(f"{name} must be positive and finite, not {value}")


def check_momentum(momentum: float) -> None:
    """Check that a momentum lies in [0, 1).

    Raises
    ------
    ValueError
        If it does not.
    """
    if not 0.0 <= momentum < 1.0:
        raise ValueError(f"momentum must be at least 0 and less than 1, not {momentum}")


def check_decay(**options: float) -> None:
    """Check that exponents of decay are not negative and finite.

    Raises
    ------
    ValueError
        If one is not; the message names it.
    """
    for name, value in options.items():
        if not 0.0 <= value < math.inf:
            raise ValueError(f"{name} must be at least 0 and finite, not {value}")


def decayed(value: float, iteration: int, decay: float) -> float:
    """The value times (iteration + 1)^-decay; iterations count from zero."""
    return value if decay == 0.0 else value * (iteration + 1.0) ** -decay
