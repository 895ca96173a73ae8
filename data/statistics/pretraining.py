"""Few labelled and many unlabelled observations of one latent-variable model: unsupervised pretraining."""

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.stats import wishart

from data.problem import Fields, Problem, Variable

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RegressionTask:
    """Labelled inputs of a linear model and what unlabelled ones say of its representation.

    ``target`` and ``loadings`` are the truth, which only a metric and an oracle may read.
    """

    inputs: Array
    labels: Array
    population_covariance: Array
    target: Array
    loadings: Array
    covariance: Array | None = None
    unlabelled_count: int = 0
    pairs: tuple[Array, Array, Array] | None = None

    def excess_risk(self, predictor: Array) -> float:
        """Mean squared error of the linear predictor beyond that of the target, in closed form."""
        error = predictor - self.target
        return float(error @ self.population_covariance @ error)


@dataclass(frozen=True, eq=False)
class ClassificationTask:
    """Unlabelled inputs, a few labelled ones and a test set; ``oracle_labels`` are the best predictions there are."""

    unlabelled: Array
    inputs: Array
    labels: Array
    test_inputs: Array
    test_labels: Array
    oracle_labels: Array

    def excess_risk(self, predicted: Array) -> float:
        """The share of wrong predictions on the test set beyond that of the oracle."""
        return float((predicted != self.test_labels).mean() - (self.oracle_labels != self.test_labels).mean())


class FactorModel(Problem):
    """x = B z + u with z ~ N(0, I_r), u ~ N(0, I_d); y = beta.z + nu, and optionally a part of y outside B's range.

    The unlabelled observations enter through their second moments, which are drawn from their exact (Wishart) law.
    """

    name: ClassVar[str] = "factor-model"
    summary: ClassVar[str] = "many unlabelled observations of a Gaussian factor model, few with a linear response"
    reference: ClassVar[str] = 'Ge, Tang, Fan, Jin, "On the Provable Advantage of Unsupervised Pretraining" (ICLR 2024)'

    dimension: int = Field(50, ge=2, le=1000, description="d, of the observations")
    rank: int = Field(2, ge=1, le=1000, description="r, of the latent factors")
    unlabelled: int = Field(50_000, ge=1, le=10**8, description="m")
    labelled: int = Field(30, ge=1, le=10**6, description="n")
    loading: float = Field(0.3, gt=0.0, le=100.0, description="standard deviation of the entries of B")
    noise: float = Field(0.5, gt=0.0, le=100.0, description="standard deviation of nu")
    outside: float = Field(0.0, ge=0.0, le=100.0, description="size of the response to a direction orthogonal to B")

    @model_validator(mode="after")
    def _rank_fits(self) -> "FactorModel":
        if self.rank >= self.dimension:
            raise ValueError(f"rank={self.rank} must be less than dimension={self.dimension}")
        return self

    def variables(self) -> dict[str, Variable]:
        """The truth, the second moments of the unlabelled observations, the labelled ones and their labels."""
        d, n = self.dimension, self.labelled
        return {
            "loadings": Variable(("feature", "factor"), (d, self.rank), "B"),
            "coefficients": Variable(("factor",), (self.rank,), "beta, of unit norm"),
            "outside_direction": Variable(("feature",), (d,), "unit vector orthogonal to the range of B"),
            "covariance": Variable(("feature", "other_feature"), (d, d), "second moments of the unlabelled"),
            "inputs": Variable(("label", "feature"), (n, d), "labelled observations"),
            "labels": Variable(("label",), (n,), "responses"),
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """The model, then its observations."""
        d, r, n = self.dimension, self.rank, self.labelled
        loadings = self.loading * random.standard_normal((d, r))
        coefficients = random.standard_normal(r)
        coefficients /= np.linalg.norm(coefficients)
        direction = random.standard_normal(d)
        direction -= loadings @ np.linalg.lstsq(loadings, direction, rcond=None)[0]
        direction /= np.linalg.norm(direction)
        covariance = _second_moments(loadings @ loadings.T + np.eye(d), self.unlabelled, random)
        factors = random.standard_normal((n, r))
        noise = random.standard_normal((n, d))
        labels = factors @ coefficients + self.outside * (noise @ direction) + self.noise * random.standard_normal(n)
        return {
            "loadings": loadings,
            "coefficients": coefficients,
            "outside_direction": direction,
            "covariance": covariance,
            "inputs": factors @ loadings.T + noise,
            "labels": labels,
        }

    def assemble(self, fields: Fields) -> RegressionTask:
        """With the best linear predictor E[x x']^-1 E[x y] as target."""
        loadings = fields["loadings"]
        population = loadings @ loadings.T + np.eye(self.dimension)
        moment = loadings @ fields["coefficients"] + self.outside * fields["outside_direction"]
        return RegressionTask(
            fields["inputs"],
            fields["labels"],
            population,
            np.asarray(np.linalg.solve(population, moment), float),
            loadings,
            covariance=fields["covariance"],
            unlabelled_count=self.unlabelled,
        )


class ContrastivePairs(Problem):
    """Standard normal pairs, tagged with probability sigmoid(f(x).f(x')); f(x) = Theta' x; y = f(x).beta + nu."""

    name: ClassVar[str] = "contrastive-pairs"
    summary: ClassVar[str] = "pairs that tell whether two observations are alike, few observations with a response"
    reference: ClassVar[str] = FactorModel.reference

    dimension: int = Field(10, ge=2, le=200, description="d, of the observations")
    rank: int = Field(2, ge=1, le=200, description="r, of the representation")
    unlabelled: int = Field(2000, ge=1, le=10**6, description="m, pairs")
    labelled: int = Field(15, ge=1, le=10**6, description="n")
    noise: float = Field(0.5, gt=0.0, le=100.0, description="standard deviation of nu")

    @model_validator(mode="after")
    def _rank_fits(self) -> "ContrastivePairs":
        if self.rank >= self.dimension:
            raise ValueError(f"rank={self.rank} must be less than dimension={self.dimension}")
        return self

    def variables(self) -> dict[str, Variable]:
        """The truth, the pairs with their tags, the labelled observations and their labels."""
        d, m, n = self.dimension, self.unlabelled, self.labelled
        return {
            "loadings": Variable(("feature", "factor"), (d, self.rank), "Theta, with orthogonal columns of norm 1"),
            "coefficients": Variable(("factor",), (self.rank,), "beta, of unit norm"),
            "first": Variable(("pair", "feature"), (m, d), "x of every pair"),
            "second": Variable(("pair", "feature"), (m, d), "x' of every pair"),
            "tags": Variable(("pair",), (m,), "1 where the pair is alike, else 0"),
            "inputs": Variable(("label", "feature"), (n, d), "labelled observations"),
            "labels": Variable(("label",), (n,), "responses"),
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """The model, then its observations."""
        d, r, m, n = self.dimension, self.rank, self.unlabelled, self.labelled
        loadings = np.linalg.qr(random.standard_normal((d, r)))[0]
        coefficients = random.standard_normal(r)
        coefficients /= np.linalg.norm(coefficients)
        first, second = random.standard_normal((2, m, d))
        likeness = 1.0 / (1.0 + np.exp(-((first @ loadings) * (second @ loadings)).sum(1)))
        inputs = random.standard_normal((n, d))
        return {
            "loadings": loadings,
            "coefficients": coefficients,
            "first": first,
            "second": second,
            "tags": (random.random(m) < likeness).astype(float),
            "inputs": inputs,
            "labels": inputs @ loadings @ coefficients + self.noise * random.standard_normal(n),
        }

    def assemble(self, fields: Fields) -> RegressionTask:
        """With Theta beta as target."""
        return RegressionTask(
            fields["inputs"],
            fields["labels"],
            np.eye(self.dimension),
            fields["loadings"] @ fields["coefficients"],
            fields["loadings"],
            unlabelled_count=self.unlabelled,
            pairs=(fields["first"], fields["second"], fields["tags"]),
        )


class GaussianMixture(Problem):
    """x ~ (1/K) sum of N(mu_k, I_d); the label is the component."""

    name: ClassVar[str] = "gaussian-mixture"
    summary: ClassVar[str] = "many unlabelled observations of a Gaussian mixture, few with their component as label"
    reference: ClassVar[str] = FactorModel.reference

    components: int = Field(5, ge=2, le=100, description="K")
    dimension: int = Field(30, ge=1, le=1000, description="d")
    separation: float = Field(3.0, gt=0.0, le=100.0, description="root mean square distance of a mean from the origin")
    unlabelled: int = Field(2000, ge=1, le=10**6, description="m")
    labelled: int = Field(25, ge=1, le=10**6, description="n, the components in turn")
    tested: int = Field(2000, ge=1, le=10**6, description="observations of the test set")

    def variables(self) -> dict[str, Variable]:
        """The means, the unlabelled, the labelled and the test observations."""
        sizes = {"unlabelled": self.unlabelled, "inputs": self.labelled, "test_inputs": self.tested}
        return {
            "means": Variable(("component", "feature"), (self.components, self.dimension), "mu"),
            **{
                name: Variable((f"{name}_row", "feature"), (size, self.dimension), f"{name.replace('_', ' ')}")
                for name, size in sizes.items()
            },
            "labels": Variable(("inputs_row",), (self.labelled,), "components of the inputs"),
            "test_labels": Variable(("test_inputs_row",), (self.tested,), "components of the test inputs"),
        }

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """The means, then the observations; every component has its share of the labels."""
        means = random.standard_normal((self.components, self.dimension))
        means *= self.separation / np.sqrt(self.dimension)
        labels = np.arange(self.labelled) % self.components
        test_labels = random.integers(self.components, size=self.tested)
        hidden = random.integers(self.components, size=self.unlabelled)
        observed = {
            name: means[components] + random.standard_normal((components.size, self.dimension))
            for name, components in (("unlabelled", hidden), ("inputs", labels), ("test_inputs", test_labels))
        }
        return {"means": means, **observed, "labels": labels.astype(float), "test_labels": test_labels.astype(float)}

    def assemble(self, fields: Fields) -> ClassificationTask:
        """With the nearest mean, Bayes' rule, as oracle."""
        means = fields["means"]
        scores = fields["test_inputs"] @ means.T - 0.5 * (means**2).sum(1)
        given = {name: fields[name] for name in ("unlabelled", "inputs", "labels", "test_inputs", "test_labels")}
        return ClassificationTask(**given, oracle_labels=scores.argmax(1).astype(float))


class PretrainingDigits(Problem):
    """scikit-learn's 1,797 digits of 8 x 8 pixels: 1,400 seen, some with their label, and 397 to test."""

    name: ClassVar[str] = "pretraining-digits"
    summary: ClassVar[str] = "random splits of scikit-learn's handwritten digits: many without, few with a label"
    reference: ClassVar[str] = (
        "Alpaydin, Kaynak, Optical Recognition of Handwritten Digits (UCI, 1998), in scikit-learn"
    )

    labelled: int = Field(30, ge=10, le=1000, description="n")
    seen: int = Field(1400, ge=100, le=1400, description="images seen with or without their label, n + m")

    @model_validator(mode="after")
    def _some_without_label(self) -> "PretrainingDigits":
        if self.labelled >= self.seen:
            raise ValueError(f"labelled={self.labelled} must be less than seen={self.seen}")
        return self

    def variables(self) -> dict[str, Variable]:
        """The order of the images."""
        return {"order": Variable(("image",), (len(_digits()[1]),), "images in the order of the split", dtype="int64")}

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """A permutation of the images."""
        return {"order": random.permutation(len(_digits()[1]))}

    def assemble(self, fields: Fields) -> ClassificationTask:
        """With the true labels as oracle."""
        images, digits = _digits()
        order = fields["order"]
        seen, tested = order[: self.seen], order[1400:]
        known, unknown = seen[: self.labelled], seen[self.labelled :]
        return ClassificationTask(
            images[unknown], images[known], digits[known], images[tested], digits[tested], oracle_labels=digits[tested]
        )


@cache
def _digits() -> tuple[Array, Array]:
    from sklearn.datasets import load_digits

    images, digits = load_digits(return_X_y=True)
    return images / 16.0, digits.astype(float)


def _second_moments(covariance: Array, count: int, random: np.random.Generator) -> Array:
    """X'X / count of ``count`` Gaussian observations; from the Wishart law where there are more than dimensions."""
    d = len(covariance)
    if count >= d:
        return np.asarray(wishart.rvs(count, covariance, random_state=random), float).reshape(d, d) / count
    observed = random.standard_normal((count, d)) @ np.linalg.cholesky(covariance).T
    return np.asarray(observed.T @ observed / count, float)
