"""What a form cannot refuse ends the flow run with one line, and whoever called the flow gets the exception."""

import httpx
import pytest

from data.validation import InputError
from flows.solve import solve_systems


@pytest.fixture
def from_a_form(monkeypatch):
    """Flow runs look as if a deployment had started them."""
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "a-deployment")


@pytest.mark.parametrize("systems", ["os:listdir", "systems.py:pairs", "nothing.npz"])
def test_a_form_names_data_and_no_code(prefect_api, from_a_form, tmp_path, systems):
    (tmp_path / "systems.py").write_text("raise RuntimeError('this ran')")
    location = str(tmp_path / systems) if "." in systems else systems
    with pytest.raises(InputError, match="does not exist: a run from a form reads"):
        solve_systems(location, store=str(tmp_path / "store"))
    query = {"flow_runs": {"name": {"any_": [location]}}}
    (run,) = httpx.post(f"{prefect_api}/flow_runs/filter", json=query).raise_for_status().json()
    assert run["state"]["type"] == "FAILED"
    assert run["state"]["message"].startswith(f"{location} does not exist")
    assert not (tmp_path / "store" / "datasets").exists()


def test_a_function_is_code_only_to_a_form(prefect_api, tmp_path):
    (tmp_path / "systems.py").write_text("raise RuntimeError('this ran')")
    with pytest.raises(InputError, match="this ran"):
        solve_systems(f"{tmp_path / 'systems.py'}:pairs", store=str(tmp_path / "store"))
