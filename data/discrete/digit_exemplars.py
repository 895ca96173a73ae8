"""Exemplars of handwritten digits under updates: images come and go, and k of them are to stand for all."""

from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field

from data.discrete.update_stream import Pattern, UpdateStream, draw_updates, is_insertion
from data.problem import Fields, Problem, Variable

IMAGES = 1797


@lru_cache(maxsize=2)
def similarities(neighbours: int) -> sp.csr_array:
    """How well every image stands for the images that it is among the nearest of, itself included.

    Image e is worth exp(-d^2 / s^2) to image c where it is one of the ``neighbours`` nearest of c, d their distance and
    s^2 the mean of d^2 over all these pairs.

    Returns
    -------
    csr_array, shape (images, images), float64
        Exemplars x images that they stand for.
    """
    from sklearn.datasets import load_digits

    pixels = load_digits().data  # whole numbers: distances are exact, and so are ties
    norms = (pixels**2).sum(axis=1)
    squared = norms[:, None] + norms - 2.0 * pixels @ pixels.T
    nearest = np.argsort(squared, axis=1, kind="stable")[:, :neighbours]
    values = np.take_along_axis(squared, nearest, axis=1)
    served = np.repeat(np.arange(IMAGES), neighbours)
    return sp.csr_array((np.exp(-values / values.mean()).ravel(), (nearest.ravel(), served)), shape=squared.shape)


class DigitExemplars(Problem):
    """Random images of scikit-learn's digits may be chosen; they are to stand for all of them."""

    name: ClassVar[str] = "digit-exemplars"
    summary: ClassVar[str] = "insertions and deletions of handwritten digits, k of which are to stand for all"
    reference: ClassVar[str] = "E. Alpaydin, C. Kaynak (1998), Optical recognition of handwritten digits, UCI"

    elements: int = Field(1000, ge=2, le=IMAGES, description="images that come and go")
    neighbours: int = Field(50, ge=1, le=IMAGES, description="nearest images that can stand for an image")
    pattern: Pattern = Field(Pattern.WINDOW, description="in which order images come and go: churn, peel or window")
    updates: int = Field(2500, ge=1, le=10**7, description="insertions and deletions")

    def variables(self) -> dict[str, Variable]:
        """The images and the one of every update."""
        return {
            "image": Variable(("element",), (self.elements,), "index of an image among the digits", dtype="int32"),
            "updated": Variable(("update",), (self.updates,), "the element of an update", dtype="int32"),
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Images without replacement, then updates."""
        image = random.permutation(IMAGES)[: self.elements].astype(np.int32)
        importance = np.asarray(similarities(self.neighbours).sum(axis=1), np.float64)[image]
        return {"image": image, "updated": draw_updates(self.pattern, importance, self.updates, random)}

    def assemble(self, fields: Fields) -> UpdateStream:
        """The rows of the images drawn, and the updates."""
        benefits = sp.csr_array(similarities(self.neighbours)[fields["image"]])
        benefits.sum_duplicates()
        elements = fields["updated"].astype(np.int64)
        return UpdateStream(benefits, elements, is_insertion(elements))
