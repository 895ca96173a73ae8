"""What the guide to reading shows is run, on the data set that it shows how to make."""

import runpy
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from data_sets import darcy, generate

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "docs" / "examples"


class StandInLoader:
    """The contract of PyTorch's DataLoader with a map-style data set: indices in, samples out, stacked to batches."""

    def __init__(self, dataset, batch_size, shuffle):
        self.dataset, self.batch_size, self.shuffle = dataset, batch_size, shuffle

    def __iter__(self):
        order = np.arange(len(self.dataset))
        if self.shuffle:
            np.random.default_rng(0).shuffle(order)
        for first in range(0, len(order), self.batch_size):
            samples = self.dataset.__getitems__(order[first : first + self.batch_size].tolist())
            yield [np.stack(column) for column in zip(*samples, strict=True)]


@pytest.fixture
def in_its_folder(tmp_path, monkeypatch):
    generate(darcy(count=50, shard_size=10, grid=32), str(tmp_path / "darcy.zarr"))
    monkeypatch.chdir(tmp_path)


def test_a_data_set_is_read_with_xarray_and_as_batches(in_its_folder, capsys):
    runpy.run_path(str(EXAMPLES / "read_a_data_set.py"))
    assert "pressure in the middle 0.0" in capsys.readouterr().out


def test_a_data_set_is_read_by_a_loader_like_that_of_torch(in_its_folder, monkeypatch):
    data = types.ModuleType("torch.utils.data")
    data.DataLoader = StandInLoader
    for name, module in (("torch", types.ModuleType("torch")), ("torch.utils", types.ModuleType("torch.utils"))):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "torch.utils.data", data)
    last = runpy.run_path(str(EXAMPLES / "read_with_torch.py"))
    assert last["coefficient"].shape == (18, 32, 32)
    assert last["coefficient"].dtype == np.float32


def test_the_benchmark_of_reading_prints_its_tables():
    command = [sys.executable, "-m", "benchmarks.reading", "--quick"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    for name in ("in order", "shuffled_batches", "random batches of 32", "1 a chunk", "every bit", "12 bits"):
        assert name in ended.stdout
