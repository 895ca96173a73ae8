"""What is done without unlabelled data, and what could be done if the representation were known."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.result import Result, Status
from kernels.statistics.gaussian_mixture import nearest_mean
from kernels.statistics.pretraining import bounded_least_squares, posterior_mean_map

Array = NDArray[np.float64]

RIDGE_PENALTIES = np.geomspace(1e-3, 1e4, 43)


def least_squares(task: Any) -> Result:
    """Least squares on the labelled inputs, of minimal norm where they are fewer than dimensions."""
    return _predictor(np.linalg.lstsq(task.inputs, task.labels, rcond=None)[0])


def ridge(task: Any) -> Result:
    """Ridge regression whose penalty is chosen by leave-one-out cross-validation (scikit-learn's RidgeCV)."""
    from sklearn.linear_model import RidgeCV

    return _predictor(RidgeCV(RIDGE_PENALTIES, fit_intercept=False).fit(task.inputs, task.labels).coef_)


def principal_component_regression(task: Any, *, rank: int) -> Result:
    """Least squares on the leading principal components of the labelled inputs alone.

    Raises
    ------
    ValueError
        If the rank exceeds what the labelled inputs have.
    """
    if not 1 <= rank <= min(task.inputs.shape):
        raise ValueError(f"rank must be 1 to {min(task.inputs.shape)}, not {rank}")
    directions = np.linalg.svd(task.inputs, full_matrices=False)[2][:rank].T
    return _predictor(directions @ np.linalg.lstsq(task.inputs @ directions, task.labels, rcond=None)[0])


def known_representation(task: Any, *, mapping: str, norm_bound: float = np.inf) -> Result:
    """Least squares on the true representation: what pretraining tends to with unlimited unlabelled data.

    Parameters
    ----------
    task : RegressionTask
    mapping : {"posterior-mean", "linear"}
        The representation that the loadings stand for.
    norm_bound : float
        On the coefficients.
    """
    loadings = posterior_mean_map(task.loadings) if mapping == "posterior-mean" else task.loadings
    return _predictor(loadings @ bounded_least_squares(task.inputs @ loadings, task.labels, norm_bound))


def oracle_classification(task: Any) -> Result:
    """The best predictions there are, as the task knows them."""
    return _predictor(task.oracle_labels)


def logistic_regression(task: Any) -> Result:
    """Logistic regression on the labelled inputs, its penalty chosen by cross-validation where classes allow it."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    smallest = np.unique(task.labels, return_counts=True)[1].min()
    model: Any = LogisticRegression(max_iter=2000)
    if smallest >= 2:
        model = GridSearchCV(model, {"C": np.geomspace(1e-2, 1e2, 5)}, cv=StratifiedKFold(min(5, int(smallest))))
    return _predictor(model.fit(task.inputs, task.labels).predict(task.test_inputs))


def nearest_centroid(task: Any) -> Result:
    """The class whose labelled inputs have the nearest mean: the plug-in rule for Gaussians of equal covariance."""
    classes = np.unique(task.labels)
    centroids = np.array([task.inputs[task.labels == label].mean(0) for label in classes])
    return _predictor(classes[nearest_mean(task.test_inputs, centroids)])


def label_spreading(task: Any) -> Result:
    """Zhou's label spreading over the labelled and unlabelled inputs, 7 neighbours (scikit-learn)."""
    from sklearn.semi_supervised import LabelSpreading

    everything = np.concatenate([task.inputs, task.unlabelled])
    known = np.concatenate([task.labels, np.full(len(task.unlabelled), -1.0)])
    with np.errstate(invalid="ignore"):  # an image that no label reaches
        fitted = LabelSpreading(kernel="knn", n_neighbors=7, max_iter=1000).fit(everything, known)
        return _predictor(fitted.predict(task.test_inputs))


def _predictor(value: Any) -> Result:
    found = np.asarray(value, float)
    return Result(found, Status.CONVERGED if np.isfinite(found).all() else Status.NOT_FINITE, np.empty(0))
