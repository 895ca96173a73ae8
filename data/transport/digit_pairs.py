"""Pairs of handwritten digits, transported onto each other."""

from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.spatial.distance import cdist

from data.problem import Fields, Variable
from data.transport.entropic import Array, EntropicProblem

Ground = Literal["sqeuclidean", "cityblock"]


@lru_cache(maxsize=1)
def digit_images() -> Array:
    """The 1797 test images of the UCI digits, shape (1797, 8, 8), float64, grey values from 0 to 16."""
    from sklearn.datasets import load_digits  # takes a second to import

    images: Array = load_digits().images
    images.setflags(write=False)
    return images


def resample(image: Array, side: int) -> Array:
    """An image on another square grid over the same square, linear between pixel centres and constant beyond them."""
    centres = np.clip((np.arange(side) + 0.5) * (len(image) / side) - 0.5, 0.0, len(image) - 1.0)
    weights = np.maximum(0.0, 1.0 - np.abs(centres[:, np.newaxis] - np.arange(len(image))))
    return np.asarray(weights @ image @ weights.T)


@lru_cache(maxsize=4)
def pixel_costs(side: int, ground: Ground) -> Array:
    """Distances between the pixels of a square, shape (side^2, side^2), float64, the greatest scaled to 1."""
    pixels = np.indices((side, side)).reshape(2, -1).T / side
    costs: Array = cdist(pixels, pixels, ground)
    costs /= costs.max()
    costs.setflags(write=False)
    return costs


class DigitPairs(EntropicProblem):
    """Two different images of the 1797, as masses on a finer grid over a faint background."""

    name: ClassVar[str] = "digit-pairs"
    summary: ClassVar[str] = "Entropic transport between images of handwritten digits (UCI, 1998)"
    reference: ClassVar[str] = (
        'Tang et al., "Accelerating Sinkhorn Algorithm with Sparse Newton Iterations" (ICLR 2024), section 5; images: '
        "E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits (UCI, 1998), as in scikit-learn"
    )

    side: int = Field(22, ge=2, le=64, description="pixels per side; the images have 8")
    ground: Ground = Field("sqeuclidean", description="distance between pixels: its square, or the l1 distance")
    background: float = Field(
        0.01, gt=0.0, le=1.0, description="share of the mass that is spread evenly, so that none is 0"
    )

    def variables(self) -> dict[str, Variable]:
        """The two images."""
        shape = (self.side, self.side)
        return {
            "source": Variable(("y", "x"), shape, "masses of the first image's pixels"),
            "target": Variable(("y", "x"), shape, "masses of the second image's pixels"),
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Two images, none twice."""
        images = digit_images()
        first, second = random.choice(len(images), 2, replace=False)
        return {"source": self._masses(images[first]), "target": self._masses(images[second])}

    def _masses(self, image: Array) -> Array:
        grey = resample(image, self.side)
        masses = (1.0 - self.background) * grey / grey.sum() + self.background / grey.size
        return np.asarray(masses / masses.sum())

    def _measures(self, fields: Fields) -> tuple[Array, Array, Array]:
        return pixel_costs(self.side, self.ground), fields["source"].ravel(), fields["target"].ravel()

    def coordinates(self) -> dict[str, NDArray[Any]]:
        """The pixel centres."""
        centres = (np.arange(self.side) + 0.5) / self.side
        return {"y": centres, "x": centres}
