"""Handwritten digits as tokens: real data, whose entries depend on each other."""

from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from data.compression.tokens import AttentionTokens, assemble_tokens, token_variables
from data.problem import Fields, Problem, Variable

IMAGES = 1797
PIXELS = 64


class DigitTokens(Problem):
    """Randomly chosen images of digits, seen through an attention head drawn at random.

    A token is the principal components of an image. Queries, keys and values are its images under independent random
    rotations, scaled such that the largest entry is the bound (for values, one).
    """

    name: ClassVar[str] = "attention-digit-tokens"
    summary: ClassVar[str] = "principal components of handwritten digits under random rotations"
    reference: ClassVar[str] = "scikit-learn's load_digits: E. Alpaydin and C. Kaynak (1998), UCI repository"

    tokens: int = Field(256, ge=2, le=IMAGES, description="images drawn, without replacement")
    dimension: int = Field(6, ge=1, le=60, description="principal components kept")
    bound: float = Field(1.0, gt=0.0, le=100.0, description="largest entry of queries and keys")
    order: int = Field(3, ge=2, le=5, description="2 is matrix attention; 3 weighs pairs of tokens for every query")

    def variables(self) -> dict[str, Variable]:
        """Queries, keys and values."""
        return token_variables(self.tokens, self.dimension, self.order)

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """The images, then a rotation for each of queries, keys and values."""
        chosen = random.choice(IMAGES, self.tokens, replace=False)
        scores = _principal_components(self.dimension)[chosen]
        factors = self.order - 1
        bounds = [self.bound] * (1 + factors) + [1.0] * factors
        matrices = [_rotated(scores, bound, random) for bound in bounds]
        return {
            "queries": matrices[0],
            "keys": np.stack(matrices[1 : 1 + factors]),
            "values": np.stack(matrices[1 + factors :]),
        }

    def assemble(self, fields: Fields) -> AttentionTokens:
        """The queries, keys and values."""
        return assemble_tokens(fields)


def _rotated(scores: NDArray[np.float64], bound: float, random: np.random.Generator) -> NDArray[np.float64]:
    orthogonal, triangular = np.linalg.qr(random.standard_normal((scores.shape[1], scores.shape[1])))
    # the signs make the rotation uniformly distributed
    rotated: NDArray[np.float64] = scores @ (orthogonal * np.sign(np.diag(triangular)))
    rotated *= bound / np.abs(rotated).max()
    return rotated


@lru_cache(maxsize=4)
def _principal_components(dimension: int) -> NDArray[np.float64]:
    from sklearn.datasets import load_digits

    pixels = load_digits().data.astype(np.float64)
    left, singular, _ = np.linalg.svd(pixels - pixels.mean(axis=0), full_matrices=False)
    scores: NDArray[np.float64] = left[:, :dimension] * singular[:dimension]
    largest = np.abs(scores).argmax(axis=0)
    scores *= np.sign(scores[largest, np.arange(dimension)])  # the sign that the decomposition leaves open
    return scores
