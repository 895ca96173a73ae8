import numpy as np
import pytest

from data.scratch import SCRATCH, computed_once
from tasks.cluster import connect, open_cluster


class Counted:
    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return np.arange(3.0) / 7


@pytest.fixture
def compute():
    return Counted()


def test_without_a_folder_every_call_computes(compute, monkeypatch):
    monkeypatch.delenv(SCRATCH, raising=False)
    for _ in range(2):
        assert (computed_once("a", compute) == np.arange(3.0) / 7).all()
    assert compute.calls == 2


def test_an_array_is_computed_once_for_all_who_share_a_folder(compute, monkeypatch, tmp_path):
    monkeypatch.setenv(SCRATCH, str(tmp_path))
    arrays = [computed_once(name, compute) for name in ("a", "a", "b", "a")]
    assert compute.calls == 2
    assert {array.tobytes() for array in arrays} == {(np.arange(3.0) / 7).tobytes()}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "b.npy"]


def test_the_workers_of_a_local_cluster_share_a_folder_that_ends_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with open_cluster(workers=2) as address, connect(address) as client:
        (folder,) = set(client.run(lambda: __import__("os").environ[SCRATCH]).values())
        shared = [path for path in tmp_path.glob("*/shared-*") if path.is_dir()]
        assert [str(path) for path in shared] == [folder]
    assert list(tmp_path.glob("*/*shared-*")) == []
