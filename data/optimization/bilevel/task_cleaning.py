"""Hyper-cleaning for many tasks at once: one weight an image, one classifier a task."""
# ruff: noqa: ARG002 - all oracles have one signature

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from data.optimization.bilevel.hyper_cleaning import CLASSES, FEATURES, Cleaning, digits, sigmoid
from data.problem import Fields, Variable

Array = NDArray[np.float64]
Indices = NDArray[np.intp]


class Examples(NamedTuple):
    """Images of some tasks: their places among all, shape (b, n), features, shape (b, n, 65), and signs."""

    places: Indices
    features: Array
    signs: Array

    def margins(self, y: Array) -> Array:
        """The sign times the prediction of every example, shape (b, n)."""
        return self.signs * self.along(y)

    def along(self, rows: Array) -> Array:
        """The products of every example's features with the row of its task, shape (b, n)."""
        return np.asarray(np.matmul(self.features, rows[..., None])[..., 0])

    def combined(self, coefficients: Array) -> Array:
        """The sum of every task's features times coefficients, shape (b, 65)."""
        return np.asarray(np.matmul(coefficients[:, None, :], self.features)[:, 0])


@dataclass(frozen=True, eq=False)
class LogisticCleaning:
    """Every lower level trains a logistic regression on its task's images, which all tasks weigh alike.

    g_i(x, y) = mean_j sigmoid(x_j) log(1 + exp(-s_ij a_j' y)) + strong_convexity ||y||^2 / 2 over the images j of task
    i, f_i the mean of the loss of its validation images. A minibatch is drawn with replacement.

    Attributes
    ----------
    features, validation_features : ndarrays, shape (n, 65) and (n', 65), float64
        Of the images that tasks choose from.
    members, validation_members : ndarrays, shape (m, k) and (m, k'), int64
        Which of them belong to a task.
    signs, validation_signs : ndarrays, shape (m, k) and (m, k'), float64
        1 where an image shows the task's digit, else -1; the contrary for training images with wrong labels.
    strong_convexity : float
    """

    features: Array
    validation_features: Array
    members: NDArray[np.int64]
    validation_members: NDArray[np.int64]
    signs: Array
    validation_signs: Array
    strong_convexity: float

    @property
    def blocks(self) -> int:
        """The number of tasks."""
        return len(self.members)

    @property
    def upper_start(self) -> Array:
        """Zero: all images weigh one half."""
        return np.zeros(len(self.features))

    @property
    def lower_start(self) -> Array:
        """Zero, shape (m, 65)."""
        return np.zeros((self.blocks, FEATURES))

    @cached_property
    def _training(self) -> Examples:
        return Examples(self.members, self.features[self.members], self.signs)

    @cached_property
    def _validation(self) -> Examples:
        return Examples(
            self.validation_members, self.validation_features[self.validation_members], self.validation_signs
        )

    def draw_lower(self, blocks: Indices, batch: int, random: np.random.Generator) -> Examples:
        """Training images."""
        return _drawn(self._training, blocks, batch, random)

    def draw_upper(self, blocks: Indices, batch: int, random: np.random.Generator) -> Examples:
        """Validation images."""
        return _drawn(self._validation, blocks, batch, random)

    def upper_value(self, x: Array, y: Array, blocks: Indices, minibatch: Examples | None = None) -> float:
        """The validation loss."""
        examples = minibatch or _of(self._validation, blocks)
        return float(np.logaddexp(0.0, -examples.margins(y)).mean())

    def lower_value(self, x: Array, y: Array, blocks: Indices, minibatch: Examples | None = None) -> Array:
        """Every task's weighted training loss with ridge, shape (b,)."""
        examples = minibatch or _of(self._training, blocks)
        losses = sigmoid(x[examples.places]) * np.logaddexp(0.0, -examples.margins(y))
        return np.asarray(losses.mean(axis=1) + 0.5 * self.strong_convexity * (y**2).sum(axis=1))

    def upper_gradient(
        self, x: Array, y: Array, blocks: Indices, minibatch: Examples | None = None
    ) -> tuple[Array, Array]:
        """Nothing by x; by every y the gradient of its task's validation loss."""
        examples = minibatch or _of(self._validation, blocks)
        return np.zeros_like(x), examples.combined(_slopes(examples, y))

    def lower_gradient(self, x: Array, y: Array, blocks: Indices, minibatch: Examples | None = None) -> Array:
        """The gradients of the weighted training losses with ridge, shape (b, 65)."""
        examples = minibatch or _of(self._training, blocks)
        weighted = sigmoid(x[examples.places]) * _slopes(examples, y)
        return examples.combined(weighted) + self.strong_convexity * y

    def hessian_product(
        self, x: Array, y: Array, v: Array, blocks: Indices, minibatch: Examples | None = None
    ) -> Array:
        """Every Hess_yy g_i v_i, shape (b, 65)."""
        examples = minibatch or _of(self._training, blocks)
        return examples.combined(_curvatures(x, examples, y) * examples.along(v)) + self.strong_convexity * v

    def lower_hessian(self, x: Array, y: Array, blocks: Indices, minibatch: Examples | None = None) -> Array:
        """Every Hess_yy g_i, shape (b, 65, 65)."""
        examples = minibatch or _of(self._training, blocks)
        weighted = _curvatures(x, examples, y)[..., None] * examples.features
        return np.asarray(
            np.matmul(weighted.transpose(0, 2, 1), examples.features) + self.strong_convexity * np.eye(FEATURES)
        )

    def cross_product(self, x: Array, y: Array, v: Array, blocks: Indices, minibatch: Examples | None = None) -> Array:
        """The mean of Hess_xy g_i v_i, which is zero but for the minibatch's images."""
        examples = minibatch or _of(self._training, blocks)
        weights = sigmoid(x[examples.places])
        slopes = weights * (1.0 - weights) * _slopes(examples, y) * examples.along(v) / len(y)
        return np.bincount(examples.places.ravel(), slopes.ravel(), minlength=x.size).astype(np.float64)

    def progress(self, x: Array, y: Array) -> float:
        """The loss of all validation images at the method's own y."""
        return self.upper_value(x, y, np.arange(self.blocks))


def _of(examples: Examples, blocks: Indices) -> Examples:
    if blocks.size == len(examples.signs):
        return examples
    return Examples(examples.places[blocks], examples.features[blocks], examples.signs[blocks])


def _drawn(examples: Examples, blocks: Indices, batch: int, random: np.random.Generator) -> Examples:
    chosen = random.integers(examples.signs.shape[1], size=(blocks.size, batch))
    rows = blocks[:, None]
    return Examples(examples.places[rows, chosen], examples.features[rows, chosen], examples.signs[rows, chosen])


def _slopes(examples: Examples, y: Array) -> Array:
    """The derivative of every example's share in the mean loss by its prediction."""
    return np.asarray(-examples.signs * sigmoid(-examples.margins(y)) / examples.signs.shape[1])


def _curvatures(x: Array, examples: Examples, y: Array) -> Array:
    """The second derivative of every weighted example's share in the mean loss by its prediction."""
    chance = sigmoid(examples.margins(y))
    return np.asarray(sigmoid(x[examples.places]) * chance * (1.0 - chance) / examples.signs.shape[1])


class TaskCleaning(Cleaning):
    """Task i tells digit i mod 10 from the others, on images of a pool; a corrupted one is wrong in all tasks."""

    name: ClassVar[str] = "task-cleaning"
    summary: ClassVar[str] = "weights for digits with wrong labels, shared by many tasks, by the loss on clean ones"

    training: int = Field(500, ge=10, le=1787, description="training images that tasks choose from")
    validation: int = Field(300, ge=10, le=1787, description="validation images that tasks choose from")
    corrupted: float = Field(0.3, ge=0.0, le=1.0, description="share of training images with wrong labels")
    ridge: float = Field(1e-2, gt=0.0, le=100.0, description="of the weights, squared norm")
    tasks: int = Field(20, ge=1, le=10**4, description="m, of classifiers")
    task_training: int = Field(200, ge=2, le=1787, description="training images of a task")
    task_validation: int = Field(100, ge=2, le=1787, description="validation images of a task")

    @model_validator(mode="after")
    def _tasks_fit(self) -> "TaskCleaning":
        if self.task_training > self.training or self.task_validation > self.validation:
            raise ValueError(
                f"task_training={self.task_training} and task_validation={self.task_validation} must not be more than "
                f"training={self.training} and validation={self.validation}"
            )
        return self

    def variables(self) -> dict[str, Variable]:
        """The images, which of them have wrong labels, and those of every task."""
        images, m = self.training + self.validation, self.tasks
        return {
            "image": Variable(("image",), (images,), "training, then validation", "1", "int64"),
            "wrong": Variable(("training",), (self.training,), "1 where the labels are wrong", "1", "int64"),
            "member": Variable(("task", "example"), (m, self.task_training), "training images", "1", "int64"),
            "validation_member": Variable(
                ("task", "check"), (m, self.task_validation), "validation images", "1", "int64"
            ),
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Images without replacement, wrong ones, then those of every task, without replacement in a task."""
        image, wrong = self.images(random), self.wrong(random)

        def subsets(pool: int, size: int) -> NDArray[np.int64]:
            return np.argsort(random.random((self.tasks, pool)), axis=1, kind="stable")[:, :size].astype(np.int64)

        return {
            "image": image,
            "wrong": wrong.astype(np.int64),
            "member": subsets(self.training, self.task_training),
            "validation_member": subsets(self.validation, self.task_validation),
        }

    def assemble(self, fields: Fields) -> LogisticCleaning:
        """The logistic regressions."""
        features, labels = digits()
        training, validation = np.split(fields["image"], [self.training])
        own = (np.arange(self.tasks) % CLASSES)[:, None]
        member, validation_member = fields["member"], fields["validation_member"]
        right = np.where(labels[training][member] == own, 1.0, -1.0)
        return LogisticCleaning(
            features[training],
            features[validation],
            member,
            validation_member,
            right * (1.0 - 2.0 * fields["wrong"][member]),
            np.where(labels[validation][validation_member] == own, 1.0, -1.0),
            self.ridge,
        )
