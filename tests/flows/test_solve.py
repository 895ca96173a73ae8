"""`assay solve`, end to end: every format, bad systems in the middle, reuse, resumption and what is refused."""

import json
import signal

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from commands import wait_until
from files import bytes_below
from sequences import (
    COUNT,
    SIZE,
    save_matrix_market,
    save_npz,
    save_script,
    save_zarr,
    stacked,
    systems_of,
)

from data.systems.system import Defect
from data.validation import InputError
from flows.check import check
from flows.cli import main
from flows.solve import solve_systems
from flows.solvers import Solver
from kernels.result import Status
from tasks.contenders import status_code
from tasks.tracking import open_tracking

PAIRS = systems_of(stacked())
CONVERGED, FAILED = status_code(Status.CONVERGED), status_code(Status.FAILED)


@pytest.fixture(scope="module")
def root(make_root):
    return make_root("solve")


@pytest.fixture(scope="module")
def solve(root, prefect_api, dask_cluster):
    def solve(systems, **changes):
        return solve_systems(systems, **{"store": root, "scheduler": dask_cluster, "shard_size": 2, **changes})

    return solve


def relative_residuals(solved, pairs):
    return [
        np.linalg.norm(rhs - matrix @ solution) / np.linalg.norm(rhs)
        for (matrix, rhs), solution in zip(pairs, solved["solution"].values, strict=True)
    ]


@pytest.mark.parametrize("form", ["npz", "compressed npz", "zarr", "matrix market", "entry point"])
def test_the_systems_of_every_format_are_solved(solve, tmp_path, form):
    match form:
        case "npz" | "compressed npz":
            systems = save_npz(tmp_path / "a.npz", compressed=form != "npz")
        case "zarr":
            systems = save_zarr(tmp_path / "a.zarr")
        case "matrix market":
            systems = save_matrix_market(tmp_path / "pairs", PAIRS)
        case "entry point":
            np.savez(tmp_path / "arrays.npz", **stacked())
            save_script(tmp_path / "mine.py", f"""
def saved():
    arrays = np.load({str(tmp_path / "arrays.npz")!r})
    for data, rhs in zip(arrays["data"], arrays["rhs"], strict=True):
        yield sp.csr_matrix((data, arrays["indices"], arrays["indptr"])), rhs
""")  # fmt: skip
            systems = f"{tmp_path / 'mine.py'}:saved"
    (made,) = solve(systems)["data_sets"]
    assert (made["instances"], made["shards"], made["unsolved"], made["bad"]) == (COUNT, 3, 0, 0)
    solved = xr.open_zarr(made["url"])
    assert solved["solution"].sizes == {"instance": COUNT, "unknown": SIZE}
    np.testing.assert_allclose(solved["relative_residual"], relative_residuals(solved, PAIRS), rtol=1e-3)
    assert max(relative_residuals(solved, PAIRS)) <= 1e-8
    assert solved.attrs["parameters"]["systems"] == systems
    assert solved.attrs["solver"]


def test_sorted_recycling_solves_them_too(solve, tmp_path):
    (made,) = solve(save_npz(tmp_path / "a.npz"), solver=Solver.SKR, shard_size=COUNT)["data_sets"]
    assert made["unsolved"] == 0
    assert max(relative_residuals(xr.open_zarr(made["url"]), PAIRS)) <= 1e-8


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory):
    """Six systems, of which the second, third and fifth are bad."""
    folder = tmp_path_factory.mktemp("spoiled")
    pairs = list(PAIRS)
    infinite = PAIRS[1][1].copy()
    infinite[3] = np.inf
    pairs[1] = PAIRS[1][0], infinite
    pairs[2] = PAIRS[2][0][:, :-1], PAIRS[2][1]
    pairs[4] = (PAIRS[4][0] + 0.5 * PAIRS[4][0] @ PAIRS[4][0]), PAIRS[4][1]
    return save_matrix_market(folder, pairs)


@pytest.fixture(scope="module")
def report(solve, spoiled):
    return solve(spoiled)


def test_bad_systems_are_named_and_the_others_are_solved(report):
    (made,) = report["data_sets"]
    assert (made["unsolved"], made["bad"]) == (3, 3)
    assert made["first_unsolved"] == {
        "system 1": "NaN or infinity: 1 in the right-hand side",
        "system 2": "not square: 0002.mtx is 16 x 15",
        "system 4": made["first_unsolved"]["system 4"],
    }
    assert made["first_unsolved"]["system 4"].startswith("pattern changed")
    solved = xr.open_zarr(made["url"])
    np.testing.assert_array_equal(
        solved["defect"],
        [0, Defect.NOT_FINITE.code, Defect.NOT_SQUARE.code, 0, Defect.PATTERN_CHANGED.code, 0],
    )
    np.testing.assert_array_equal(solved["status"], np.where(solved["defect"], FAILED, CONVERGED))
    assert np.isnan(solved["solution"][[1, 2, 4]]).all()
    assert np.isnan(solved["relative_residual"][[1, 2, 4]]).all()
    residuals = np.array(relative_residuals(solved, PAIRS))
    assert (residuals[[0, 3, 5]] <= 1e-8).all()


def test_its_run_in_mlflow_leads_to_what_was_solved(report, root):
    run = open_tracking(root).get_run(report["mlflow"]["run_id"])
    (made,) = report["data_sets"]
    assert run.data.params["systems"] == report["systems"]
    assert run.data.tags["data_set_url"] == made["url"]
    assert run.data.metrics["unsolved"] == run.data.metrics["bad"] == 3
    assert run.data.tags.keys() >= {"git_commit", "lock_digest", "kernel_source"}
    (used,) = run.inputs.dataset_inputs
    assert used.dataset.digest == xr.open_zarr(made["url"]).attrs["parameters"]["content"]


def test_a_second_run_reuses_the_solutions_and_names_the_bad_systems_again(solve, spoiled, report):
    again = solve(spoiled)
    (made,), (before,) = again["data_sets"], report["data_sets"]
    assert made["shards_reused"] == 3
    assert [made[key] for key in ("url", "unsolved", "first_unsolved")] == [
        before[key] for key in ("url", "unsolved", "first_unsolved")
    ]
    assert again["mlflow"] == report["mlflow"] | {"reused": True}


def test_a_changed_input_gets_another_place_and_is_refused_at_the_same(solve, tmp_path):
    systems, out = tmp_path / "a.npz", str(tmp_path / "out.zarr")
    (first,) = solve(save_npz(systems))["data_sets"]
    solve(str(systems), out=out)
    before = bytes_below(out)
    (second,) = solve(save_npz(systems, rhs=np.ones(SIZE)))["data_sets"]
    assert second["url"] != first["url"]
    assert second["shards_reused"] == 0
    with pytest.raises(InputError, match="made by other parameters"):
        solve(str(systems), out=out)
    assert bytes_below(out) == before


def test_the_input_is_never_overwritten(solve, tmp_path):
    systems = save_zarr(tmp_path / "a.zarr")
    before = bytes_below(systems)
    with pytest.raises(InputError, match="not a store of Assay"):
        solve(systems, out=systems)
    assert bytes_below(systems) == before


def test_a_singular_matrix_is_reported_as_unsolved(solve, tmp_path):
    data = stacked()["data"]
    data[3] = 0.0
    (made,) = solve(save_npz(tmp_path / "a.npz", data=data))["data_sets"]
    assert (made["unsolved"], made["bad"]) == (1, 0)
    assert list(made["first_unsolved"]) == ["system 3"]


def test_systems_of_one_unknown_are_solved(solve, tmp_path):
    np.savez(tmp_path / "a.npz", data=[[2.0], [4.0]], indices=[0], indptr=[0, 1], rhs=[8.0])
    (made,) = solve(str(tmp_path / "a.npz"))["data_sets"]
    np.testing.assert_array_equal(xr.open_zarr(made["url"])["solution"], [[4.0], [2.0]])


def test_the_command_names_the_bad_systems_and_its_plan_says_what_is_there(assay, spoiled, dask_cluster):
    out = str(assay.folder / "out.zarr")
    ended = assay("solve", spoiled, "--out", out, "--scheduler", dask_cluster)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    assert "3 instances are not solved" in ended.stdout
    assert "system 2 failed, not square: 0002.mtx is 16 x 15" in ended.stdout
    (planned,) = json.loads(CliRunner().invoke(main, ["solve", spoiled, "--out", out, "--plan", "--json"]).stdout)
    assert (planned["state"], planned["shards"], planned["shards_present"]) == ("complete", 1, 1)


@pytest.mark.slow
def test_a_command_that_is_killed_is_resumed_to_the_same_bytes(assay, solve, tmp_path, dask_cluster):
    systems = save_npz(tmp_path / "many.npz", **{**stacked(200), "rhs": np.ones(SIZE)})
    out = assay.folder / "out.zarr"
    options = ["--solver", "direct", "--shard-size", "1", "--out", str(out), "--scheduler", dask_cluster]
    process = assay.start("solve", systems, *options)
    written = out / "shard_digest" / "c"
    wait_until(lambda: len(list(written.glob("*/0"))) >= 3, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (resumed,) = solve(systems, solver=Solver.DIRECT, out=str(out), shard_size=1)["data_sets"]
    (whole,) = solve(systems, solver=Solver.DIRECT, shard_size=1)["data_sets"]
    assert 3 <= resumed["shards_reused"] < 200
    assert whole["shards_reused"] == 0
    assert bytes_below(out) == bytes_below(whole["url"])


REFUSED = {
    ("absent.npz",): "absent.npz does not exist",
    ("keys.npz",): "no array 'rhs'",
    ("complex.npz",): "data holds complex128, it must hold real numbers",
    ("objects.npz",): "cannot be read as an .npz file of numbers",
    ("mine.py:pairs",): "raised TypeError: 'int' object is not iterable",
    ("good.npz", "--solver", "lane"): "did you mean 'lanes'",
    ("good.npz", "--preconditioner", "ilu"): "unknown preconditioner 'ilu'",
    ("good.npz", "--tolerance", "nan"): "tolerance=nan",
    ("good.npz", "--shard-size", "0"): "shard_size=0",
    ("good.npz", "--out", "."): "not a store of Assay",
    ("good.npz", "--out", "keys.npz/a.zarr"): "not writable",
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A folder of what a user can get wrong."""
    folder = tmp_path_factory.mktemp("inputs")
    save_npz(folder / "good.npz")
    save_npz(folder / "keys.npz", rhs=None)
    save_npz(folder / "complex.npz", data=stacked()["data"] * 1j)
    save_npz(folder / "objects.npz", data=stacked()["data"].astype(object))
    (folder / "mine.py").write_text("def pairs():\n    yield from 5\n")
    return folder


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_bad_input_is_refused_in_one_line_and_leaves_nothing_behind(inputs, monkeypatch, arguments):
    monkeypatch.chdir(inputs)
    before = contents(inputs)
    outcome = CliRunner().invoke(main, ["solve", *arguments])
    assert outcome.exit_code == 2, outcome.output
    assert outcome.stdout == ""
    (line,) = outcome.stderr.splitlines()
    assert line.startswith("assay: ")
    assert REFUSED[arguments] in line
    assert contents(inputs) == before


def contents(folder):
    return {name: content for name, content in bytes_below(folder).items() if "__pycache__" not in name}


def test_solutions_of_own_systems_are_no_data_set_to_check(solve, tmp_path):
    (made,) = solve(save_npz(tmp_path / "a.npz"))["data_sets"]
    with pytest.raises(InputError, match="solutions of systems of your own"):
        check(made["url"])
