"""An attention layer trained to restore noisy digits: real data, and scores as training makes them."""

from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from data.adapters.layer import AdaptedAttention, Array, assemble_layer, largest_score, layer_variables
from data.adapters.training import trained_weights
from data.problem import Fields, Problem, Variable

IMAGES = 1797
_NOISE = 8.0  # standard deviation, of grey levels from 0 to 16
_TRAINING_IMAGES = 256
_RATE = 0.5
_ADAPTER_DEVIATION = 0.1  # of the entries of B, in place of the zeros that it starts from


class DigitLayer(Problem):
    """Restoring noisy images by attention to all other images of the sequence, with an adapter of the query weights.

    A token is the principal components of an image with noise, its target those without. The frozen weights come from
    gradient descent on other noise and a fixed draw of images; all instances share them. The adapter is as after some
    steps of fine-tuning: A random, B small.
    """

    name: ClassVar[str] = "adapted-digit-layer"
    summary: ClassVar[str] = "attention trained to restore noisy handwritten digits, with a low-rank adapter"
    reference: ClassVar[str] = "scikit-learn's load_digits: E. Alpaydin and C. Kaynak (1998), UCI repository"

    tokens: int = Field(512, ge=2, le=IMAGES, description="images drawn, without replacement")
    dimension: int = Field(3, ge=1, le=60, description="principal components kept")
    rank: int = Field(2, ge=1, le=60, description="rank r of the adapter")
    alpha: float = Field(4.0, gt=0.0, le=1e3, description="the adapter is scaled by alpha / r")
    training_steps: int = Field(300, ge=0, le=10**4, description="steps of gradient descent behind the frozen weights")

    @model_validator(mode="after")
    def _low_rank(self) -> "DigitLayer":
        if self.rank > self.dimension:
            raise ValueError(f"rank={self.rank} must not exceed dimension={self.dimension}")
        return self

    def variables(self) -> dict[str, Variable]:
        """The layer, its inputs and its targets."""
        return layer_variables(self.tokens, self.dimension, self.rank)

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """The images and their noise, then the adapter."""
        inputs, targets = _noisy_and_clean(self.tokens, self.dimension, random)
        query_weights, key_weights, value_weights = _frozen_weights(self.dimension, self.training_steps)
        left = _ADAPTER_DEVIATION * random.standard_normal((self.dimension, self.rank))
        right = random.standard_normal((self.rank, self.dimension)) / np.sqrt(self.dimension)
        scale = self.alpha / self.rank
        queries = inputs @ (query_weights + scale * (left @ right))
        return {
            "inputs": inputs,
            "query_weights": query_weights,
            "key_weights": key_weights,
            "value_weights": value_weights,
            "adapter_left": left,
            "adapter_right": right,
            "adapter_scale": np.array(scale),
            "targets": targets,
            "largest_score": np.array(largest_score(queries, inputs @ key_weights)),
        }

    def assemble(self, fields: Fields) -> AdaptedAttention:
        """The layer."""
        return assemble_layer(fields)


def _noisy_and_clean(count: int, dimension: int, random: np.random.Generator) -> tuple[Array, Array]:
    """Principal components of images with and without noise; the first has unit variance over all images."""
    centred, directions, scale = _principal_directions(dimension)
    clean = centred[random.choice(IMAGES, count, replace=False)] @ directions * scale
    # independent noise of the pixels is independent in any orthogonal directions
    return clean + _NOISE * scale * random.standard_normal(clean.shape), clean


@lru_cache(maxsize=4)
def _frozen_weights(dimension: int, steps: int) -> Array:
    random = np.random.default_rng(0)  # the same for all seeds: the pre-trained layer is part of the problem
    inputs, targets = _noisy_and_clean(_TRAINING_IMAGES, dimension, random)
    return trained_weights(inputs, targets, steps=steps, rate=_RATE, random=random)


@lru_cache(maxsize=4)
def _principal_directions(dimension: int) -> tuple[Array, Array, float]:
    """The images without their mean, the directions, shape (64, d), and the inverse deviation along the first."""
    from sklearn.datasets import load_digits

    pixels = load_digits().data.astype(np.float64)
    centred = pixels - pixels.mean(axis=0)
    _, singular, right = np.linalg.svd(centred, full_matrices=False)
    directions = right[:dimension].T
    largest = np.abs(directions).argmax(axis=0)
    directions = directions * np.sign(directions[largest, np.arange(dimension)])  # the sign that the SVD leaves open
    return centred, directions, float(np.sqrt(IMAGES) / singular[0])
