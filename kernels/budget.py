"""A budget that all contenders of a problem get alike; the runner hands it out and checks that it was kept."""

from collections.abc import Mapping
from types import MappingProxyType


class Budget:
    """Units of work a method may spend, such as oracle calls; it asks before each piece of work.

    Parameters
    ----------
    limits : mapping of str to float
        The most of every unit; a unit that is not named is counted and not limited.

    Raises
    ------
    ValueError
        If a limit is negative or NaN.
    """

    def __init__(self, limits: Mapping[str, float]) -> None:
        for unit, limit in limits.items():
            if not limit >= 0:
                raise ValueError(f"the budget of {unit} must be at least 0, not {limit}")
        self.limits = MappingProxyType(dict(limits))
        self._spent: dict[str, float] = dict.fromkeys(limits, 0.0)

    def spend(self, **units: float) -> bool:
        """Charge units; False, and nothing is charged, where one of them does not suffice."""
        if any(self.left(unit) < amount for unit, amount in units.items()):
            return False
        for unit, amount in units.items():
            self._spent[unit] = self._spent.get(unit, 0.0) + amount
        return True

    def left(self, unit: str) -> float:
        """What may still be spent of a unit, infinity where it is not limited."""
        return self.limits.get(unit, float("inf")) - self._spent.get(unit, 0.0)

    @property
    def spent(self) -> dict[str, float]:
        """What was spent of every unit."""
        return dict(self._spent)
