"""A small LSTM on generated token sequences: recurrent weights above, the output layer below."""
# ruff: noqa: ARG002 - all oracles have one signature

from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from data.optimization.bilevel.softmax_head import SoftmaxHead, curvature_products
from data.problem import Fields, Problem, Variable

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
Tokens = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a network."""

    tokens: int
    embedding: int
    hidden: int

    @property
    def parameters(self) -> int:
        """The number of recurrent weights: the embedding, then the gates' matrix and their constants."""
        return self.tokens * self.embedding + 4 * self.hidden * (self.embedding + self.hidden + 1)


@dataclass(frozen=True, eq=False)
class RecurrentNetwork(SoftmaxHead):
    """The lower level trains the output layer on the features of an LSTM, the upper level its recurrent weights x.

    A feature is an entry of the last hidden state, or a constant.

    Attributes
    ----------
    shape : Shape
    upper_start : ndarray, shape (p,), float64
        The recurrent weights at the start.
    sequences : ndarray, shape (n, length), int64
        For training.
    validation_sequences : ndarray, shape (n', length), int64
    """

    shape: Shape
    upper_start: Array
    sequences: Tokens
    validation_sequences: Tokens
    _latest: dict[str, tuple[Array, Array]] = field(default_factory=dict, repr=False)

    @property
    def lower_start(self) -> Array:
        """Zero, shape (1, (hidden + 1) * classes)."""
        return np.zeros((1, (self.shape.hidden + 1) * self.classes))

    def training(self, x: Array, minibatch: Indices | None) -> tuple[Array, Array]:
        """The features, and one over the number of sequences."""
        if minibatch is None:
            return self._all_features("training", x, self.sequences), np.full(self.labels.size, 1.0 / self.labels.size)
        return lstm_features(self.shape, x, self.sequences[minibatch]), np.full(minibatch.size, 1.0 / minibatch.size)

    def validation(self, x: Array, minibatch: Indices | None) -> Array:
        """The features."""
        if minibatch is None:
            return self._all_features("validation", x, self.validation_sequences)
        return lstm_features(self.shape, x, self.validation_sequences[minibatch])

    def _all_features(self, name: str, x: Array, sequences: Tokens) -> Array:
        """Kept from call to call, as the lower level is solved at one x."""
        if name not in self._latest or not np.array_equal(self._latest[name][0], x):
            self._latest[name] = x.copy(), lstm_features(self.shape, x, sequences)
        return self._latest[name][1]

    def upper_gradient(
        self,
        x: Array,
        y: Array,
        blocks: Indices,
        minibatch: Indices | None = None,
    ) -> tuple[Array, Array]:
        """The gradient of the validation loss by the recurrent weights and by the output layer."""
        features = self.validation(x, minibatch)
        errors = self.validation_residuals(features, y, minibatch)
        sequences = self.validation_sequences if minibatch is None else self.validation_sequences[minibatch]
        direct = lstm_pullback(self.shape, x, sequences, errors @ self.matrix(y).T)
        return direct, (features.T @ errors).reshape(1, -1)

    def cross_product(
        self,
        x: Array,
        y: Array,
        v: Array,
        blocks: Indices,
        minibatch: Indices | None = None,
    ) -> Array:
        """Hess_xy g v: the derivative by x of the product of v and the lower level's gradient, through the features."""
        features, weights = self.training(x, minibatch)
        curved = curvature_products(features, self.matrix(y), self.matrix(v))[1]
        errors = self.training_residuals(features, y, minibatch)
        by_features = weights[:, None] * (errors @ self.matrix(v).T + curved @ self.matrix(y).T)
        sequences = self.sequences if minibatch is None else self.sequences[minibatch]
        return lstm_pullback(self.shape, x, sequences, by_features)


def lstm_features(shape: Shape, x: Array, sequences: Tokens) -> Array:
    """The last hidden state of every sequence and a constant, shape (n, hidden + 1), computed by JAX in float64."""
    return _computed(_compiled(shape)[0], x, sequences)


def lstm_pullback(shape: Shape, x: Array, sequences: Tokens, cotangents: Array) -> Array:
    """The derivative by x of the sum of the features times cotangents of their shape, shape (p,)."""
    return _computed(_compiled(shape)[1], x, sequences, cotangents)


def _computed(function: Any, *arrays: NDArray[Any]) -> Array:
    """In double precision on the processor, whatever else JAX is used for."""
    import jax

    with jax.enable_x64(True), jax.default_device(jax.local_devices(backend="cpu")[0]):
        return np.asarray(function(*arrays))


@cache
def _compiled(shape: Shape) -> tuple[Any, Any]:
    import jax
    import jax.numpy as jnp

    def features(x: Any, sequences: Any) -> Any:
        split = shape.tokens * shape.embedding
        embedding = x[:split].reshape(shape.tokens, shape.embedding)
        gates = x[split:].reshape(shape.embedding + shape.hidden + 1, 4 * shape.hidden)
        inputs = embedding[sequences.T] @ gates[: shape.embedding] + gates[-1]

        def advance(state: tuple[Any, Any], entering: Any) -> tuple[tuple[Any, Any], None]:
            hidden, cell = state
            total = entering + hidden @ gates[shape.embedding : -1]
            let_in, forget, let_out, candidate = jnp.split(total, 4, axis=1)
            cell = jax.nn.sigmoid(forget) * cell + jax.nn.sigmoid(let_in) * jnp.tanh(candidate)
            return (jax.nn.sigmoid(let_out) * jnp.tanh(cell), cell), None

        zero = jnp.zeros((sequences.shape[0], shape.hidden), x.dtype)
        hidden = jax.lax.scan(advance, (zero, zero), inputs)[0][0]
        return jnp.column_stack([hidden, jnp.ones(sequences.shape[0], x.dtype)])

    def pullback(x: Any, sequences: Any, cotangents: Any) -> Any:
        return jax.vjp(lambda weights: features(weights, sequences), x)[1](cotangents)[0]

    return jax.jit(features), jax.jit(pullback)


class RecurrentClassification(Problem):
    """Sequences of Markov chains, whose transition matrix is that of their class."""

    name: ClassVar[str] = "recurrent-classification"
    summary: ClassVar[str] = "which of several Markov chains made a sequence, by a small LSTM"
    reference: ClassVar[str] = 'Hao, Gong, Liu, "Bilevel Optimization under Unbounded Smoothness" (ICLR 2024)'
    extra: ClassVar[str] = "jax"

    training: int = Field(256, ge=8, le=10**6, description="training sequences")
    validation: int = Field(256, ge=8, le=10**6, description="validation sequences")
    length: int = Field(16, ge=2, le=1000, description="tokens of a sequence")
    tokens: int = Field(8, ge=2, le=10**4, description="different tokens")
    classes: int = Field(4, ge=2, le=100, description="Markov chains")
    embedding: int = Field(4, ge=1, le=500, description="numbers that stand for a token")
    hidden: int = Field(8, ge=1, le=500, description="units of the LSTM")
    ridge: float = Field(1e-2, gt=0.0, le=100.0, description="of the output layer, squared norm")

    @property
    def _network(self) -> Shape:
        return Shape(self.tokens, self.embedding, self.hidden)

    def variables(self) -> dict[str, Variable]:
        """The sequences, their classes and the recurrent weights at the start."""
        count = self.training + self.validation
        return {
            "sequences": Variable(
                ("sequence", "position"), (count, self.length), "training, then validation", "1", "int64"
            ),
            "labels": Variable(("sequence",), (count,), "the chain of every sequence", "1", "int64"),
            "start": Variable(("weight",), (self._network.parameters,), "recurrent weights at the start"),
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Transition matrices with Dirichlet rows, sequences from uniform first tokens, normal weights."""
        count = self.training + self.validation
        transitions = random.dirichlet(np.full(self.tokens, 0.5), (self.classes, self.tokens)).cumsum(axis=2)
        labels = random.integers(self.classes, size=count)
        sequences = np.empty((count, self.length), np.int64)
        sequences[:, 0] = random.integers(self.tokens, size=count)
        for position in range(1, self.length):
            thresholds = transitions[labels, sequences[:, position - 1]]
            passed = (random.random((count, 1)) > thresholds).sum(axis=1)
            sequences[:, position] = np.minimum(passed, self.tokens - 1)
        network = self._network
        start = random.standard_normal(network.parameters) / np.sqrt(network.hidden)
        return {"sequences": sequences, "labels": labels, "start": start}

    def assemble(self, fields: Fields) -> RecurrentNetwork:
        """The network."""
        training, validation = np.split(fields["sequences"], [self.training])
        labels, validation_labels = np.split(fields["labels"], [self.training])
        return RecurrentNetwork(
            labels,
            validation_labels,
            self.classes,
            self.ridge,
            self._network,
            fields["start"],
            training,
            validation,
        )
