"""Arrays that take long to compute and that the workers of a local cluster share while it lives."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SCRATCH = "ASSAY_SCRATCH"
"""The environment variable that names the folder where they are kept; without it each process computes its own."""


def computed_once(name: str, compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """The array of this name, from the folder that the workers share; the first that wants it computes and keeps it.

    Two that want it at the same time both compute it: equal names stand for equal arrays.
    """
    folder = os.environ.get(SCRATCH)
    if not folder:
        return compute()
    kept = Path(folder, f"{name}.npy")
    if kept.exists():
        return np.asarray(np.load(kept))
    array = compute()
    unfinished = kept.with_suffix(f".{os.getpid()}.npy")
    np.save(unfinished, array)
    unfinished.replace(kept)
    return array
