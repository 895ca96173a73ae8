"""Processes that are killed or interrupted half-way, and what the same command makes of what they left."""

import json
import os
import signal
from pathlib import Path

import pytest
from commands import PATIENCE, wait_until
from files import bytes_below

from flows.generate import ProblemName, generate_data_set
from flows.plan import plan_study
from flows.registry import find_study
from flows.study import StudyName, run_study
from tasks.results import results_url
from tasks.store import store_state
from tasks.study import Size

STUDY = "compensated-summation"
SETTINGS = {"instances": 2, "repetitions": 150, "shard_size": 1, "length": 1000}
ASSIGNMENTS = [argument for key, value in SETTINGS.items() for argument in ("--set", f"{key}={value}")]
RUN = ["run", STUDY, "--size", "small", *ASSIGNMENTS, "--json"]
SHARDS = 300

COUNT = 200
GENERATE = [
    "generate",
    "darcy-lognormal",
    "--count",
    str(COUNT),
    "--shard-size",
    "1",
    "--set",
    "grid=8",
    "--json",
]


def digests(store):
    """How many shards of a store are written."""
    return len(list((store / "shard_digest" / "c").glob("*/0"))) if store.exists() else 0


@pytest.fixture(scope="module")
def undisturbed(prefect_api, dask_cluster, make_root):
    """The study in a store that nobody interrupts."""
    root = make_root("undisturbed")
    run_study(StudyName(STUDY), size=Size.SMALL, settings=SETTINGS, store=root, scheduler=dask_cluster)
    return stores(root)


def stores(root):
    plan = plan_study(find_study(STUDY), Size.SMALL, SETTINGS, str(root))
    (problem,) = plan.folders
    return plan.data_url(problem), results_url(plan.folders[problem])


@pytest.fixture
def results_store(assay):
    """Where the command line will keep the results."""
    return Path(stores(assay.store)[1])


def test_a_study_that_is_killed_is_resumed_to_the_same_bytes(assay, undisturbed, results_store, dask_cluster):
    process = assay.start(*RUN, "--scheduler", dask_cluster)
    wait_until(lambda: digests(results_store) >= 3, process)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    written = digests(results_store)
    assert 3 <= written < SHARDS
    assert store_state(str(results_store)) == "unfinished"

    resumed = assay(*RUN, "--scheduler", dask_cluster)
    assert resumed.returncode == 0, resumed.stderr
    report = json.loads(resumed.stdout)
    assert report["data_sets"][0]["shards_reused"] == SHARDS
    assert written <= report["results"][0]["shards_reused"] < SHARDS
    for mine, theirs in zip(stores(assay.store), undisturbed, strict=True):
        assert bytes_below(mine) == bytes_below(theirs)


def test_ctrl_c_ends_with_130_and_the_study_is_resumed_to_the_same_bytes(
    assay, undisturbed, results_store, dask_cluster
):
    process = assay.start(*RUN, "--workers", "2", PREFECT_API_URL="")  # servers of its own, as by default
    wait_until(lambda: digests(results_store) >= 3, process)
    os.killpg(process.pid, signal.SIGINT)  # a terminal interrupts the whole group
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, errors
    assert errors.strip().splitlines() == ["interrupted: the same command resumes what is unfinished"]
    (log,) = (assay.store / "logs").iterdir()
    assert json.loads(log.read_text().splitlines()[-1])["message"] == "interrupted (KeyboardInterrupt)"
    written = digests(results_store)
    assert written < SHARDS

    report = run_study(
        StudyName(STUDY), size=Size.SMALL, settings=SETTINGS, store=str(assay.store), scheduler=dask_cluster
    )
    assert report["results"][0]["shards_reused"] >= written
    for mine, theirs in zip(stores(assay.store), undisturbed, strict=True):
        assert bytes_below(mine) == bytes_below(theirs)


def test_a_data_set_that_is_killed_is_resumed_to_the_same_bytes(assay, dask_cluster, make_root):
    out = assay.folder / "darcy.zarr"
    process = assay.start(*GENERATE, "--out", str(out), "--scheduler", dask_cluster)
    wait_until(lambda: digests(out) >= 3, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 3 <= digests(out) < COUNT

    request = {"problem": ProblemName("darcy-lognormal"), "count": COUNT, "settings": {"grid": 8}, "shard_size": 1}
    root = make_root("undisturbed-data")
    (resumed,) = generate_data_set(**request, out=str(out), store=root, scheduler=dask_cluster)["data_sets"]
    (whole,) = generate_data_set(**request, store=root, scheduler=dask_cluster)["data_sets"]
    assert 3 <= resumed["shards_reused"] < COUNT
    assert whole["shards_reused"] == 0
    assert bytes_below(out) == bytes_below(whole["url"])


@pytest.mark.slow  # a sample of the faults kills one too
def test_a_worker_that_is_killed_is_replaced_and_changes_no_byte(assay, dask_cluster, make_root):
    out = assay.folder / "darcy.zarr"
    process = assay.start(*GENERATE, "--out", str(out), "--workers", "2")
    wait_until(lambda: digests(out) >= 3, process)
    workers = worker_processes(process.pid)
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    written = digests(out)
    assert written < COUNT
    printed, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    (made,) = json.loads(printed)["data_sets"]
    assert (made["instances"], made["unsolved"]) == (COUNT, 0)

    request = {"problem": ProblemName("darcy-lognormal"), "count": COUNT, "settings": {"grid": 8}, "shard_size": 1}
    root = make_root("undisturbed-by-a-kill")
    (whole,) = generate_data_set(**request, store=root, scheduler=dask_cluster)["data_sets"]
    assert bytes_below(out) == bytes_below(whole["url"])


def worker_processes(parent):
    """The Dask workers of a command: the children that multiprocessing spawned."""
    threads = Path(f"/proc/{parent}/task").iterdir()
    children = {child for thread in threads for child in (thread / "children").read_text().split()}
    return sorted(int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes())
