"""Functions that make systems: what they may return, how often they are called, and what is refused."""

import numpy as np
import pytest
from sequences import save_script

from data.systems.entry_point import EntryPointSystems
from data.systems.system import BadSystemError, Defect
from data.validation import InputError

LIST = "\n_pairs = list(pairs())\ndef listed():\n    return _pairs\n"


def test_the_systems_of_a_generator_are_read_in_any_order(tmp_path):
    source = EntryPointSystems(save_script(tmp_path / "mine.py"))
    for index in [0, 1, 4, 2, 5, 5, 0]:
        system = source.read(index)
        np.testing.assert_array_equal(system.rhs, np.full(16, 1.0 + index))
        np.testing.assert_array_equal(system.matrix.diagonal(), np.full(16, 3.0 + index))
    assert source.count == 6


def test_a_generator_that_is_read_in_order_is_run_once(tmp_path):
    calls = tmp_path / "calls"
    code = f"""
def counted():
    with open({str(calls)!r}, "a") as file:
        file.write(".")
    yield from pairs()
"""
    save_script(tmp_path / "mine.py", code)
    source = EntryPointSystems(f"{tmp_path / 'mine.py'}:counted")
    for index in range(6):
        source.read(index)
    assert calls.read_text() == "."


def test_a_sequence_is_asked_for_what_is_read_alone(tmp_path):
    code = """
class Lazy:
    def __len__(self):
        return 10**9
    def __getitem__(self, index):
        return list(pairs())[index % 6]
"""
    save_script(tmp_path / "mine.py", code)
    source = EntryPointSystems(f"{tmp_path / 'mine.py'}:Lazy")
    np.testing.assert_array_equal(source.read(6 * 10**7 + 2).rhs, np.full(16, 3.0))


def test_a_generator_and_a_list_of_the_same_systems_have_one_digest(tmp_path):
    generated = EntryPointSystems(save_script(tmp_path / "mine.py", LIST))
    listed = EntryPointSystems(f"{tmp_path / 'mine.py'}:listed")
    assert generated.digest() == listed.digest()
    assert generated.count == listed.count == 6


@pytest.mark.parametrize("changed", ["3.0 + index", "1.0 + index", "count=6", "bad=()", "offsets=[-1, 0, 1]"])
def test_the_digest_changes_with_any_system(tmp_path, changed):
    path = tmp_path / "mine.py"
    before = EntryPointSystems(save_script(path)).digest()
    other = {"count=6": "count=5", "bad=()": "bad=(3,)", "offsets=[-1, 0, 1]": "offsets=[-2, 0, 1]"}
    path.write_text(path.read_text().replace(changed, other.get(changed, "2.0 * (index + 1)")))
    assert EntryPointSystems(f"{path}:pairs").digest() != before


def test_a_module_is_imported_by_its_name(tmp_path, monkeypatch):
    save_script(tmp_path / "my_systems.py")
    monkeypatch.syspath_prepend(tmp_path)
    assert EntryPointSystems("my_systems:pairs").count == 6


def test_a_bad_pair_is_named_and_the_others_are_read(tmp_path):
    code = """
def spoiled():
    yield from pairs(count=3, bad=(1,))
    yield 7
    yield 1, 2, 3
    yield from pairs(1)
"""
    save_script(tmp_path / "mine.py", code)
    source = EntryPointSystems(f"{tmp_path / 'mine.py'}:spoiled")
    assert source.count == 6
    for index, defect in {1: Defect.NOT_SQUARE, 3: Defect.UNREADABLE, 4: Defect.UNREADABLE}.items():
        with pytest.raises(BadSystemError) as caught:
            source.read(index)
        assert caught.value.defect is defect
    for index in (0, 2, 5):
        source.read(index)


def test_a_sequence_that_raises_for_one_system_has_the_others(tmp_path):
    code = """
class Patchy(list):
    def __init__(self):
        super().__init__(pairs())
    def __getitem__(self, index):
        if index == 2:
            raise OSError("the tape is torn")
        return super().__getitem__(index)
"""
    save_script(tmp_path / "mine.py", code)
    source = EntryPointSystems(f"{tmp_path / 'mine.py'}:Patchy")
    assert source.count == 6
    with pytest.raises(BadSystemError, match="the tape is torn"):
        source.read(2)
    source.read(3)


@pytest.mark.parametrize(
    ("code", "name", "words"),
    [
        ("", "absent", "has no function 'absent'"),
        ("\nabsent = 3\n", "absent", "has no function 'absent'"),
        ("\nraise OSError('no\\n licence')\n", "pairs", "cannot be imported: OSError: no licence"),
        ("\nthis is no Python\n", "pairs", "cannot be imported: SyntaxError"),
        ("\ndef pairs(): return 1 / 0\n", "pairs", "raised ZeroDivisionError: division by zero"),
        ("\ndef needs(path): return []\n", "needs", "it is called without arguments"),
        ("\ndef none(): return None\n", "none", "gives neither a sequence nor an iterator"),
        ("\ndef empty(): return []\n", "empty", "gives no systems"),
        ("\ndef empty(): return iter([])\n", "empty", "gives no systems"),
        (
            "\ndef torn():\n    yield from pairs(2)\n    1 / 0\n",
            "torn",
            "raised ZeroDivisionError: division by zero after 2",
        ),
    ],
)
def test_what_gives_no_systems_is_refused_in_one_line(tmp_path, code, name, words):
    save_script(tmp_path / "mine.py", code)
    with pytest.raises(InputError) as caught:
        EntryPointSystems(f"{tmp_path / 'mine.py'}:{name}").digest()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["no_such_module:pairs", "no_such_file.py:pairs", ":pairs", "..:pairs"])
def test_a_module_that_does_not_exist_is_refused(name):
    with pytest.raises(InputError, match="cannot be imported"):
        EntryPointSystems(name)


def test_an_iterator_that_cannot_begin_again_is_refused(tmp_path):
    save_script(tmp_path / "mine.py", "\n_once = pairs()\ndef spent():\n    return _once\n")
    source = EntryPointSystems(f"{tmp_path / 'mine.py'}:spent")
    assert source.count == 6
    with pytest.raises(InputError, match="gives only 0 systems"):
        source.read(0)
