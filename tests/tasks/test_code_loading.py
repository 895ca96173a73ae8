import importlib
import sys

import jax
import numba
import numpy as np
import pytest

from tasks.code_loading import watch_loading


@pytest.mark.parametrize("compiler", [numba.njit, jax.jit])
def test_compilation_is_noticed_also_for_other_types_and_a_second_call_is_none(compiler):
    double = compiler(lambda x: 2 * x)
    for argument in (1.0, np.ones(3)):
        with watch_loading() as first:
            double(argument)
        with watch_loading() as second:
            double(argument)
        assert (first(), second()) == (True, False)


def test_an_import_is_noticed(monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with watch_loading() as has_loaded:
        importlib.import_module("colorsys")
    assert has_loaded()


def test_nothing_is_noticed_afterwards():
    with watch_loading() as has_loaded:
        np.linalg.norm(np.ones(3))
    numba.njit(lambda x: 2 * x)(1)
    jax.jit(lambda x: 2 * x)(1.0)
    assert not has_loaded()
