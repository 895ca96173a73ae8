"""Attention layers with random weights, whose largest score decides whether a fast gradient is possible."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from data.adapters.layer import AdaptedAttention, assemble_layer, attention_output, largest_score, layer_variables
from data.problem import Fields, Problem, Variable

_TEACHER_DEVIATION = 0.5  # of the entries of the teacher's query weights from those of the layer


class RandomLayer(Problem):
    """Inputs and weights with independent standard normal entries; the targets are those of a layer nearby.

    The key weights are scaled such that the largest absolute score Q K^T / sqrt(d) is Gamma. The targets are the
    outputs of the layer with other query weights.
    """

    name: ClassVar[str] = "adapted-random-layer"
    summary: ClassVar[str] = "attention with random weights and a low-rank adapter, scores up to a given bound"
    reference: ClassVar[str] = (
        "J. Y.-C. Hu et al. (2025), Computational limits of low-rank adaptation (LoRA) for transformer-based models, "
        "ICLR"
    )

    tokens: int = Field(1024, ge=2, le=2**17, description="length L of the sequence")
    dimension: int = Field(8, ge=1, le=64, description="entries of a token, d")
    rank: int = Field(2, ge=1, le=64, description="rank r of the adapter")
    alpha: float = Field(4.0, gt=0.0, le=1e3, description="the adapter is scaled by alpha / r")
    largest_score: float = Field(1.0, gt=0.0, le=100.0, description="largest absolute score, Gamma")

    @model_validator(mode="after")
    def _low_rank(self) -> "RandomLayer":
        if self.rank > self.dimension:
            raise ValueError(f"rank={self.rank} must not exceed dimension={self.dimension}")
        return self

    def variables(self) -> dict[str, Variable]:
        """The layer, its inputs and its targets."""
        return layer_variables(self.tokens, self.dimension, self.rank)

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Inputs, weights and adapter, then the teacher's query weights."""
        d = self.dimension
        inputs = random.standard_normal((self.tokens, d))
        query_weights, key_weights, value_weights, deviation = random.standard_normal((4, d, d))
        left = random.standard_normal((d, self.rank)) / np.sqrt(d)
        right = random.standard_normal((self.rank, d)) / np.sqrt(d)
        scale = self.alpha / self.rank
        effective = query_weights + scale * (left @ right)
        key_weights *= self.largest_score / largest_score(inputs @ effective, inputs @ key_weights)
        teacher = inputs @ (effective + _TEACHER_DEVIATION * deviation)
        return {
            "inputs": inputs,
            "query_weights": query_weights,
            "key_weights": key_weights,
            "value_weights": value_weights,
            "adapter_left": left,
            "adapter_right": right,
            "adapter_scale": np.array(scale),
            "targets": attention_output(teacher, inputs @ key_weights, inputs @ value_weights),
            "largest_score": np.array(self.largest_score),
        }

    def assemble(self, fields: Fields) -> AdaptedAttention:
        """The layer."""
        return assemble_layer(fields)
