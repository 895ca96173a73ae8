"""Small random streams of insertions and deletions, and what is live along them."""

from types import SimpleNamespace

import numpy as np
import scipy.sparse as sp


def toggles(random, size, updates):
    """Random elements that change sides, and whether each comes or goes."""
    elements = random.integers(size, size=updates)
    live = np.zeros(size, bool)
    insertions = np.empty(updates, bool)
    for update, element in enumerate(elements):
        insertions[update] = live[element] = not live[element]
    return elements, insertions


def make_stream(seed, size=12, clients=30, updates=60, fractional=False, density=(0.05, 0.4)):
    random = np.random.default_rng(seed)
    benefits = (random.random((size, clients)) < random.uniform(*density, (size, 1))).astype(float)
    if fractional:
        benefits *= random.random(benefits.shape)
    elements, insertions = toggles(random, size, updates)
    return SimpleNamespace(benefits=sp.csr_array(benefits), elements=elements, insertions=insertions)


def live_sets(stream):
    """The live elements after every update, ascending."""
    live = set()
    for element, inserted in zip(stream.elements.tolist(), stream.insertions.tolist(), strict=True):
        live ^= {element}
        assert (element in live) == inserted
        yield sorted(live)
