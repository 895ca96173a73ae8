import resource

import numpy as np
import pytest

from tasks import memory
from tasks.memory import GIBIBYTE, memory_limit


def soft_limit():
    return resource.getrlimit(resource.RLIMIT_DATA)[0]


def test_who_asks_for_more_memory_than_allowed_is_refused_and_the_limit_is_lifted_again():
    before = soft_limit()
    with memory_limit(GIBIBYTE // 8), pytest.raises(MemoryError):
        np.ones(2**25)
    assert soft_limit() == before
    np.ones(2**25)


def test_a_tighter_limit_stays_in_force():
    with memory_limit(GIBIBYTE):
        tight = soft_limit()
        with memory_limit(2 * GIBIBYTE):
            assert soft_limit() == tight


def test_where_there_is_no_such_limit_nothing_is_done(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "absent")
    before = soft_limit()
    with memory_limit(1):
        assert soft_limit() == before
