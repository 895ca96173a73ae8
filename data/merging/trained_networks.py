"""Groups of networks trained alike on the same observations, from different starts and in different orders."""

from abc import abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from data.merging.perceptron import (
    Array,
    Labels,
    Layers,
    activations,
    cross_entropy,
    join_parameters,
    loss_and_gradient,
    split_parameters,
    train,
)
from data.problem import Fields, Problem, Variable

CLASSES = 10
IMAGES, PIXELS = 1797, 64
TRAINED_SHARE = 0.6


@dataclass(frozen=True, eq=False)
class NetworkGroup:
    """Networks of one shape with the observations that they were trained on and those they are tested on.

    Attributes
    ----------
    models : tuple of tuple of ndarray
        The affine layers of every network; layer l has shape (n_l, n_{l-1} + 1), the bias in its last column.
    inputs, test_inputs : ndarray, shape (n, n_0), (t, n_0), float64
    labels, test_labels : ndarray, shape (n,), (t,), int64
    """

    models: tuple[Layers, ...]
    inputs: Array
    labels: Labels
    test_inputs: Array
    test_labels: Labels

    def hidden_activations(self, layers: Layers) -> list[Array]:
        """Of every hidden layer on the training inputs, shape (n, n_l)."""
        return activations(layers, self.inputs)[1:-1]

    def training_loss(self, layers: Layers) -> tuple[float, Layers]:
        """The mean cross-entropy over the training data, and its gradient."""
        gradient = tuple(np.empty_like(layer) for layer in layers)
        return loss_and_gradient(layers, self.inputs, self.labels, gradient), gradient

    def test_loss(self, layers: Layers) -> float:
        """The mean cross-entropy over the test data."""
        return cross_entropy(self.logits(layers), self.test_labels)

    def test_accuracy(self, layers: Layers) -> float:
        """The share of the test data that is classified correctly."""
        return float((self.logits(layers).argmax(axis=1) == self.test_labels).mean())

    def logits(self, layers: Layers) -> Array:
        """The outputs of a network on the test inputs, shape (t, classes)."""
        return activations(layers, self.test_inputs)[-1]

    def parameters(self) -> Array:
        """All parameters of every network, shape (models, p)."""
        return np.stack([join_parameters(layers) for layers in self.models])

    def with_parameters(self, parameters: Array) -> Layers:
        """The network of this shape that has these parameters, shape (p,)."""
        shapes = [layer.shape for layer in self.models[0]]
        return split_parameters(parameters, [shapes[0][1] - 1, *(units for units, _ in shapes)])


class TrainedNetworks(Problem):
    """Networks with two hidden layers of one width; a subclass says what they are trained on.

    Training is plain NumPy on one thread, so that the same seed gives the same bytes; scikit-learn's classifier has
    one seed for the start and the order and would not keep them apart.
    """

    width: int = Field(256, ge=1, le=2048, description="units of each hidden layer")
    models: int = Field(5, ge=2, le=20, description="networks of a group")
    epochs: int = Field(30, ge=1, le=1000, description="passes over the training data")
    batch: int = Field(64, ge=1, le=10_000, description="observations of a step of Adam")
    learning_rate: float = Field(1e-3, gt=0.0, le=1.0, description="of Adam")
    initial_gain: float = Field(
        float(np.sqrt(2.0)), gt=0.0, le=10.0, description="starting weights have this deviation over sqrt(inputs)"
    )

    @abstractmethod
    def observation_variables(self) -> dict[str, Variable]:
        """The arrays that define the observations."""

    @abstractmethod
    def draw_observations(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """The arrays that define the observations of an instance."""

    @abstractmethod
    def observations(self, fields: Fields) -> tuple[Array, Labels]:
        """All inputs, shape (n, features), and their labels in 0 ... 9; those to train on come first."""

    @property
    @abstractmethod
    def features(self) -> int:
        """The entries of an input."""

    def variables(self) -> dict[str, Variable]:
        """The observations, then weights and biases of every layer of all networks."""
        sizes, names = self._sizes(), ("feature", "first_hidden", "second_hidden", "class")
        variables = self.observation_variables()
        for depth, (inputs, units) in enumerate(pairwise(sizes), 1):
            below, above = names[depth - 1 : depth + 1]
            shape = (self.models, units, inputs)
            variables[f"weights_{depth}"] = Variable(("model", above, below), shape, f"weights of layer {depth}")
            variables[f"biases_{depth}"] = Variable(("model", above), shape[:2], f"biases of layer {depth}")
        return variables

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """The observations, then the networks, each trained with a random stream of its own."""
        fields = self.draw_observations(random)
        inputs, labels = self.observations(fields)
        trained = _trained_count(labels)
        options = {name: getattr(self, name) for name in ("epochs", "batch", "learning_rate", "initial_gain")}
        groups = [
            train(inputs[:trained], labels[:trained], self._sizes(), stream, **options)
            for stream in random.spawn(self.models)
        ]
        for depth, layers in enumerate(zip(*groups, strict=True), 1):
            stacked = np.stack(layers)
            fields[f"weights_{depth}"], fields[f"biases_{depth}"] = stacked[:, :, :-1].copy(), stacked[:, :, -1].copy()
        return fields

    def assemble(self, fields: Fields) -> NetworkGroup:
        """The networks with their training and test data."""
        inputs, labels = self.observations(fields)
        trained = _trained_count(labels)
        depths = range(1, len(self._sizes()))
        models = tuple(
            tuple(np.column_stack([fields[f"weights_{d}"][model], fields[f"biases_{d}"][model]]) for d in depths)
            for model in range(self.models)
        )
        return NetworkGroup(models, inputs[:trained], labels[:trained], inputs[trained:], labels[trained:])

    def _sizes(self) -> list[int]:
        return [self.features, self.width, self.width, CLASSES]


class DigitNetworks(TrainedNetworks):
    """Networks that read scikit-learn's 1,797 digits of 8 x 8 pixels; every group has a random split of its own."""

    name: ClassVar[str] = "digit-networks"
    summary: ClassVar[str] = "perceptrons trained on random splits of scikit-learn's handwritten digits"
    reference: ClassVar[str] = "scikit-learn's load_digits: E. Alpaydin and C. Kaynak (1998), UCI repository"

    @property
    def features(self) -> int:
        """Pixels."""
        return PIXELS

    def observation_variables(self) -> dict[str, Variable]:
        """The order of the images, of which the first 60 percent are trained on."""
        return {"order": Variable(("image",), (IMAGES,), "images in the order of the split", dtype="int64")}

    def draw_observations(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """A permutation of the images."""
        return {"order": random.permutation(IMAGES)}

    def observations(self, fields: Fields) -> tuple[Array, Labels]:
        """The images in the order of the split."""
        images, digits = _digits()
        return images[fields["order"]], digits[fields["order"]]


class MixtureNetworks(TrainedNetworks):
    """Networks that tell ten Gaussian clusters apart; the means are N(0, 2 I).

    With 10 epochs they take as many steps of training as those that read digits.
    """

    name: ClassVar[str] = "mixture-networks"
    summary: ClassVar[str] = "perceptrons trained to tell the components of a Gaussian mixture apart"
    reference: ClassVar[str] = "S. Ainsworth, J. Hayase, S. Srinivasa (2023), Git Re-Basin, ICLR (for the networks)"

    epochs: int = Field(10, ge=1, le=1000, description="passes over the training data")
    dimension: int = Field(32, ge=1, le=1000, description="entries of an observation")
    points: int = Field(5000, ge=20, le=10**6, description="observations, of which 60 percent are trained on")
    noise: float = Field(2.0, gt=0.0, le=100.0, description="deviation from the mean of the cluster")

    @property
    def features(self) -> int:
        """The entries of an observation."""
        return self.dimension

    def observation_variables(self) -> dict[str, Variable]:
        """The observations and their clusters."""
        n, d = self.points, self.dimension
        return {
            "means": Variable(("class", "feature"), (CLASSES, d), "means of the clusters"),
            "observed": Variable(("point", "feature"), (n, d), "observations, those to train on first"),
            "cluster": Variable(("point",), (n,), "clusters of the observations", dtype="int64"),
        }

    def draw_observations(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """The means, then the observations."""
        means = np.sqrt(2.0) * random.standard_normal((CLASSES, self.dimension))
        cluster = random.integers(CLASSES, size=self.points)
        observed = means[cluster] + self.noise * random.standard_normal((self.points, self.dimension))
        return {"means": means, "observed": observed, "cluster": cluster}

    def observations(self, fields: Fields) -> tuple[Array, Labels]:
        """As they were drawn."""
        return fields["observed"], fields["cluster"]


def _trained_count(labels: Labels) -> int:
    return round(TRAINED_SHARE * len(labels))


@lru_cache(maxsize=1)
def _digits() -> tuple[Array, Labels]:
    from sklearn.datasets import load_digits

    images, digits = load_digits(return_X_y=True)
    return images / 16.0, digits.astype(np.int64)
