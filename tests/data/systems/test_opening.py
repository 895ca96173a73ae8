"""Which format a location is taken for."""

from pathlib import Path

import pytest
from sequences import save_matrix_market, save_npz, save_script, stacked, systems_of

from data.systems.entry_point import EntryPointSystems
from data.systems.matrix_market import MatrixMarketSystems
from data.systems.npz import NpzSystems
from data.systems.opening import absolute_location, open_systems
from data.validation import InputError


def test_the_format_is_that_of_what_lies_there(tmp_path):
    npz = save_npz(tmp_path / "a:b.npz")
    folder = save_matrix_market(tmp_path / "pairs", systems_of(stacked(1)))
    script = save_script(tmp_path / "mine.py")
    kinds = [type(open_systems(location)) for location in (npz, folder, script)]
    assert kinds == [NpzSystems, MatrixMarketSystems, EntryPointSystems]


def test_what_is_nowhere_or_unknown_is_refused(tmp_path):
    (tmp_path / "systems.csv").touch()
    for location, words in {
        "absent.npz": "does not exist",
        str(tmp_path / "systems.csv"): "is not an .npz file",
    }.items():
        with pytest.raises(InputError, match=words):
            open_systems(location)


def test_paths_are_made_absolute_and_other_locations_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a:b.npz").touch()
    here = str(tmp_path)
    assert absolute_location("a.npz") == f"{here}/a.npz"
    assert absolute_location("a:b.npz") == f"{here}/a:b.npz"
    assert absolute_location("code/mine.py:pairs") == f"{here}/code/mine.py:pairs"
    assert absolute_location("package.module:pairs") == "package.module:pairs"
    assert absolute_location("s3://bucket/systems.zarr") == "s3://bucket/systems.zarr"
