"""Imports point one way: flows -> tasks -> data, kernels."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ORCHESTRATION = ["prefect", "mlflow", "dask", "distributed", "zarr", "xarray"]
IMPORT_ALL = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    importlib.import_module(module.name)
print(*{name.split(".")[0] for name in sys.modules} & set(sys.argv[2:]))
"""


def test_the_import_contract_holds():
    checked = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout
    assert "1 kept, 0 broken" in checked.stdout


@pytest.mark.parametrize(
    ("package", "banned"),
    [("kernels", [*ORCHESTRATION, "data", "tasks", "flows"]), ("data", [*ORCHESTRATION, "kernels", "tasks", "flows"])],
)
def test_algorithms_and_problems_know_nothing_of_the_pipeline(package, banned):
    loaded = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, package, *banned], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert loaded.stdout.split() == []
