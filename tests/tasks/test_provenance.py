import importlib
import re
import sys
from functools import partial

import pytest

import kernels
from kernels.examples.compensated_summation import compensated_sum, exact_sum
from kernels.linear_systems.direct import sparse_lu
from kernels.linear_systems.skr import sorting_krylov_recycling
from tasks.provenance import environment, git_commit, lock_digest, machine, source_digest

METHOD = '''"""A method."""
from kernels.probe_tools import shift

def solve(x):
    """Add one."""
    return shift(x)
'''
TOOLS = '''"""Tools."""
def shift(x):
    return x + 1
'''


@pytest.fixture
def digest_of(tmp_path, monkeypatch):
    """The digest of ``kernels.probe.solve`` for the texts of its module and of the one that it imports."""
    count = 0

    def digest(method=METHOD, tools=TOOLS):
        nonlocal count
        count += 1
        folder = tmp_path / f"kernels-{count}"
        folder.mkdir()
        (folder / "probe.py").write_text(method)
        (folder / "probe_tools.py").write_text(tools)
        with monkeypatch.context() as context:
            context.setattr(kernels, "__path__", [*kernels.__path__, str(folder)])
            module = importlib.import_module("kernels.probe")
            try:
                return source_digest(module.solve)
            finally:
                forget()

    def forget():
        for name in ("probe", "probe_tools"):
            sys.modules.pop(f"kernels.{name}", None)
            vars(kernels).pop(name, None)
        source_digest.__globals__["_parsed"].cache_clear()
        importlib.invalidate_caches()

    forget()
    yield digest
    forget()


@pytest.mark.parametrize(
    "method",
    [
        METHOD.replace("    return", "    # why\n    return"),
        METHOD.replace("Add one.", "Add one to a number."),
        METHOD.replace('    """Add one."""\n', ""),
        METHOD.replace('"""A method."""\n', ""),
        METHOD.replace("shift(x)", "shift( x )"),
        METHOD.replace("shift(x)", "(\n        shift(x)\n    )"),
    ],
    ids=["comment", "docstring", "no docstring", "no module docstring", "spaces", "lines"],
)
def test_what_does_not_change_a_number_does_not_change_the_digest(digest_of, method):
    assert method != METHOD
    assert digest_of(method) == digest_of()


def test_a_change_of_the_code_changes_the_digest(digest_of):
    assert digest_of(METHOD.replace("shift(x)", "shift(x) + 0")) != digest_of()


def test_a_change_in_an_imported_kernel_changes_the_digest(digest_of):
    assert digest_of(METHOD, TOOLS.replace("x + 1", "x + 2")) != digest_of()


def test_a_comment_in_an_imported_kernel_does_not_change_the_digest(digest_of):
    assert digest_of(METHOD, TOOLS + "# why\n") == digest_of()


@pytest.mark.parametrize(
    "statement",
    [
        "from kernels.probe_tools import shift",
        "from kernels import probe_tools\nshift = probe_tools.shift",
        "import kernels.probe_tools\nshift = kernels.probe_tools.shift",
    ],
)
def test_every_way_of_importing_a_kernel_is_followed(digest_of, statement):
    method = METHOD.replace("from kernels.probe_tools import shift", statement)
    assert digest_of(method, TOOLS.replace("x + 1", "x + 2")) != digest_of(method)


def test_a_kernel_that_is_imported_on_first_use_is_followed(digest_of):
    method = METHOD.replace("from kernels.probe_tools import shift\n", "").replace(
        "    return", "    from kernels.probe_tools import shift\n    return"
    )
    assert digest_of(method, TOOLS.replace("x + 1", "x + 2")) != digest_of(method)


def test_the_digest_of_a_partial_is_that_of_its_function():
    assert source_digest(partial(compensated_sum)) == source_digest(compensated_sum)


def test_functions_of_one_module_share_a_digest_and_those_of_others_differ():
    assert source_digest(compensated_sum) == source_digest(exact_sum)
    assert len({source_digest(f) for f in (compensated_sum, sparse_lu, sorting_krylov_recycling)}) == 3


def test_the_environment_names_commit_lock_and_packages():
    found = environment()
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?|unknown", git_commit())
    assert re.fullmatch(r"[0-9a-f]{16}|unknown", lock_digest())
    assert found["git_commit"] == git_commit()
    assert found["python"].startswith("3.11.")
    assert all(f"{name} " in found["packages"] for name in ("numpy", "scipy", "numba", "zarr", "dask", "mlflow"))


def test_the_machine_names_cores_and_threads():
    assert re.search(r"\d+ cores", machine()["machine"])
    assert "BLAS 1" in machine()["threads"]
