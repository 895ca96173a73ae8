"""Set coverage under updates: sets come and go, and k of them are to cover as many items as they can."""

import math
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field, model_validator

from data.discrete.update_stream import Pattern, UpdateStream, draw_updates, is_insertion
from data.problem import Fields, Problem, Variable

ABSENT = -1


class CoverageStream(Problem):
    """Sets whose sizes are spread evenly over the orders of magnitude, so that it matters which ones are chosen."""

    name: ClassVar[str] = "coverage-stream"
    summary: ClassVar[str] = "insertions and deletions of random sets, k of which are to cover the most items"
    reference: ClassVar[str] = (
        'Banihashem, Biabani, Goudarzi, Hajiaghayi, Jabbarzade, Monemizadeh, "Dynamic Constrained Submodular '
        'Optimization with Polylogarithmic Update Time" (ICML 2023)'
    )

    elements: int = Field(1000, ge=2, le=10**6, description="sets that come and go")
    items: int = Field(1000, ge=1, le=10**6, description="items that they cover")
    smallest: int = Field(2, ge=1, le=1000, description="items drawn for the smallest set")
    largest: int = Field(64, ge=1, le=1000, description="items drawn for the largest set")
    pattern: Pattern = Field(Pattern.CHURN, description="in which order sets come and go: churn, peel or window")
    updates: int = Field(2500, ge=1, le=10**7, description="insertions and deletions")

    @model_validator(mode="after")
    def _smallest_is_no_larger_than_largest(self) -> "CoverageStream":
        if self.smallest > self.largest:
            raise ValueError(f"largest={self.largest} must be at least smallest={self.smallest}")
        return self

    def variables(self) -> dict[str, Variable]:
        """The members of every set and the set of every update."""
        return {
            "member": Variable(
                ("set", "slot"),
                (self.elements, self.largest),
                "items of a set, ascending; -1 after the last",
                dtype="int32",
            ),
            "updated": Variable(("update",), (self.updates,), "the set of an update", dtype="int32"),
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Sizes log-uniform; items uniform with replacement, so that a set can be a little smaller."""
        low, high = math.log(self.smallest), math.log(self.largest + 1)
        sizes = np.minimum(np.exp(random.uniform(low, high, self.elements)), self.largest).astype(np.int64)
        member = random.integers(self.items, size=(self.elements, self.largest), dtype=np.int32)
        member[np.arange(self.largest) >= sizes[:, None]] = self.items  # sorts to the end
        member.sort(axis=1)
        member[:, 1:][member[:, 1:] == member[:, :-1]] = self.items
        member.sort(axis=1)
        member[member == self.items] = ABSENT
        importance = (member != ABSENT).sum(axis=1).astype(np.float64)
        return {"member": member, "updated": draw_updates(self.pattern, importance, self.updates, random)}

    def assemble(self, fields: Fields) -> UpdateStream:
        """The sets as rows of zeros and ones, and the updates."""
        present = fields["member"] != ABSENT
        starts = np.append(0, np.cumsum(present.sum(axis=1)))
        items = fields["member"][present]
        benefits = sp.csr_array((np.ones(items.size), items, starts), shape=(self.elements, self.items))
        benefits.has_canonical_format = True
        elements = fields["updated"].astype(np.int64)
        return UpdateStream(benefits, elements, is_insertion(elements))
