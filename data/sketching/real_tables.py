"""Tables of real numbers that installed packages carry."""

from functools import cache

import numpy as np
from numpy.typing import NDArray


@cache
def rand_health_insurance() -> NDArray[np.float64]:
    """The RAND health insurance experiment: visits to a doctor, then nine covariates of 20190 people.

    Returns
    -------
    ndarray, shape (20190, 10), float64, read-only
    """
    from statsmodels.datasets import randhie

    table = randhie.load_pandas().data.to_numpy(np.float64)
    table.setflags(write=False)
    return np.asarray(table)


def draw_rand_people(random: np.random.Generator, count: int) -> NDArray[np.int64]:
    """Different people, uniformly; drawn again where a covariate is the same for all, as the constant is."""
    covariates = rand_health_insurance()[:, 1:]
    while True:
        people = random.choice(len(covariates), count, replace=False)
        if np.ptp(covariates[people], axis=0).all():
            return people


def standardised_rand_rows(people: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The design, a constant and the covariates standardised over these people, shape (n, 10), and their visits."""
    chosen = rand_health_insurance()[people]
    covariates = chosen[:, 1:]
    standardised = (covariates - covariates.mean(axis=0)) / covariates.std(axis=0)
    return np.column_stack([np.ones(people.size), standardised]), chosen[:, 0].copy()
