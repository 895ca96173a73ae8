"""Tokens with independent entries below a bound, which decides whether fast attention is possible."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from data.compression.tokens import AttentionTokens, assemble_tokens, token_variables
from data.problem import Fields, Problem, Variable


class UniformTokens(Problem):
    """Queries and keys uniform on [-B, B], values uniform on [-1, 1], all independent.

    The values have a bound of their own, since errors are proportional to it.
    """

    name: ClassVar[str] = "attention-uniform-tokens"
    summary: ClassVar[str] = "queries, keys and values with independent, bounded entries"
    reference: ClassVar[str] = "J. Alman and Z. Song (2024), How to capture higher-order correlations?, ICLR"

    tokens: int = Field(256, ge=1, le=2**20, description="number of tokens n")
    dimension: int = Field(6, ge=1, le=64, description="entries of a token, d")
    bound: float = Field(1.0, gt=0.0, le=100.0, description="bound B of the entries of queries and keys")
    order: int = Field(3, ge=2, le=5, description="2 is matrix attention; 3 weighs pairs of tokens for every query")

    def variables(self) -> dict[str, Variable]:
        """Queries, keys and values."""
        return token_variables(self.tokens, self.dimension, self.order)

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """All entries independently."""
        shapes = {name: variable.shape for name, variable in self.variables().items()}
        return {
            "queries": random.uniform(-self.bound, self.bound, shapes["queries"]),
            "keys": random.uniform(-self.bound, self.bound, shapes["keys"]),
            "values": random.uniform(-1.0, 1.0, shapes["values"]),
        }

    def assemble(self, fields: Fields) -> AttentionTokens:
        """The queries, keys and values."""
        return assemble_tokens(fields)
