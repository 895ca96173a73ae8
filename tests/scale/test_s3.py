"""Stores on S3, served by a real process: the same arrays, resumed, planned, checked and read from anywhere."""

import json
from pathlib import Path

import fsspec
import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from commands import Assay
from servers import s3_server

from flows.cli import main
from flows.generate import ProblemName, generate_data_set
from flows.plan import plan_study
from flows.registry import find_study
from flows.study import StudyName, run_study
from tasks.cluster import open_cluster
from tasks.damage import discard_shards
from tasks.places import StoreError, require_writable
from tasks.results import results_url
from tasks.store import DIGESTS, store_state
from tasks.study import Size

STUDY = "compensated-summation"
SETTINGS = {"instances": 2, "repetitions": 4, "shard_size": 2, "length": 500}
DARCY = {"problem": ProblemName("darcy-lognormal"), "count": 6, "settings": {"grid": 8}, "shard_size": 1}


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    """The environment of a running server, in this process too."""
    with s3_server(tmp_path_factory.mktemp("s3")) as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield environment


@pytest.fixture(scope="module")
def workers(s3):
    """The address of a cluster of two processes that know the server."""
    with open_cluster(workers=2) as address:
        yield address


@pytest.fixture(autouse=True)
def tracked(make_root, monkeypatch):
    """A store of this machine, which holds the MLflow database of all stores."""
    root = make_root("tracked")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root}/mlflow/mlflow.db")
    return root


def same_arrays(here, there):
    """The arrays of a store, which another one has too, bit by bit."""
    mine, theirs = xr.open_zarr(here).load(), xr.open_zarr(there).load()
    assert mine.identical(theirs) or mine.drop_attrs().identical(theirs.drop_attrs())
    assert np.array_equal(mine[DIGESTS], theirs[DIGESTS])
    return mine


def assay(*arguments):
    return CliRunner().invoke(main, [*arguments, "--json"])


def test_a_study_on_s3_has_the_arrays_of_a_local_one_and_is_reused(prefect_api, workers, tracked):
    root = "s3://bucket/study"
    reports = [
        run_study(StudyName(STUDY), size=Size.SMALL, settings=SETTINGS, store=store, scheduler=workers)
        for store in (tracked, root, root)
    ]
    reused = [[made["shards_reused"] for made in report["data_sets"] + report["results"]] for report in reports]
    assert reused == [[0, 0], [0, 0], [4, 4]]
    plans = [plan_study(find_study(STUDY), Size.SMALL, SETTINGS, store) for store in (tracked, root)]
    (problem,) = plans[0].folders
    same_arrays(*(plan.data_url(problem) for plan in plans))
    same_arrays(*(results_url(plan.folders[problem]) for plan in plans))
    assert reports[1]["mlflow"]["artifacts"].startswith(f"file://{tracked}/mlflow/artifacts/")


@pytest.mark.slow
def test_a_data_set_on_s3_is_planned_resumed_checked_and_repaired(prefect_api, workers, tracked):
    out = "s3://bucket/darcy.zarr"
    words = ["--count", "6", "--set", "grid=8", "--shard-size", "1", "--out", out, "--plan"]
    (planned,) = json.loads(assay("generate", "darcy-lognormal", *words).stdout)
    assert (planned["state"], planned["shards_present"]) == ("absent", 0)
    generate_data_set(**DARCY, out=out, store=tracked, scheduler=workers)
    (local,) = generate_data_set(**DARCY, store=tracked, scheduler=workers)["data_sets"]
    stored = same_arrays(local["url"], out)
    assert not stored["solution"].isnull().any()

    discard_shards(out, [0, 3])
    (planned,) = json.loads(assay("generate", "darcy-lognormal", *words).stdout)
    assert (planned["state"], planned["shards_present"]) == ("unfinished", 4)
    (resumed,) = generate_data_set(**DARCY, out=out, store=tracked, scheduler=workers)["data_sets"]
    assert resumed["shards_reused"] == 4
    same_arrays(local["url"], out)
    checked = assay("check", out)
    assert (checked.exit_code, json.loads(checked.stdout)["passed"]) == (0, True), checked.output

    filesystem, path = fsspec.url_to_fs(out)
    chunk = sorted(filesystem.find(f"{path}/solution/c/5"))[0]
    filesystem.pipe_file(chunk, filesystem.cat_file(chunk)[:-9])
    assert assay("check", out).exit_code == 1
    (repaired,) = generate_data_set(**DARCY, out=out, store=tracked, scheduler=workers, repair=True)["data_sets"]
    assert repaired["shards_reused"] == 5
    same_arrays(local["url"], out)


@pytest.mark.slow
def test_the_command_line_keeps_its_records_in_the_current_folder_where_the_store_is_remote(
    prefect_api, s3, tmp_path, monkeypatch
):
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    commands = Assay(tmp_path, prefect_api)
    words = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    ended = commands("run", STUDY, "--size", "small", *words, "--scheduler", "in-process", "--json",
                     ASSAY_STORE="s3://bucket/command")  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)
    assert report["mlflow"]["tracking_uri"] == f"sqlite:///{tmp_path}/assay-store/mlflow/mlflow.db"
    assert {path.name for path in Path(tmp_path).iterdir()} == {"assay-store"}
    assert store_state(report["data_sets"][0]["url"]) == "complete"


def test_the_doctor_warns_where_the_database_is_not_with_a_remote_store(s3, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.chdir(tmp_path)
    examined = {one["check"]: one for one in json.loads(assay("doctor", "--store", "s3://bucket").stdout)["findings"]}
    assert (examined["store"]["state"], examined["MLflow"]["state"]) == ("good", "warning")
    assert "MLFLOW_TRACKING_URI" in examined["MLflow"]["cure"]


def test_stores_that_others_refer_to_are_not_deleted_by_a_folder_that_knows_no_runs(s3, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.chdir(tmp_path)
    filesystem = fsspec.filesystem("s3")
    filesystem.pipe_file("bucket/shared/datasets/theirs.zarr/zarr.json", b"{}")
    refused = CliRunner().invoke(main, ["gc", "--store", "s3://bucket/shared", "--older-than", "0"])
    assert (refused.exit_code, "set MLFLOW_TRACKING_URI" in refused.output) == (2, True)
    assert filesystem.exists("bucket/shared/datasets/theirs.zarr/zarr.json")
    assert json.loads(assay("gc", "--store", "s3://bucket/shared", "--dry-run").stdout)["deleted"] == []


@pytest.fixture
def new_file_systems(monkeypatch):
    """File systems that read the environment as it is now, closed in the end."""
    kind = fsspec.get_filesystem_class("s3")
    monkeypatch.setattr(kind, "_cache", {})
    yield
    for filesystem in kind._cache.values():
        if filesystem._s3 is not None:
            fsspec.asyn.sync(filesystem.loop, filesystem._s3.__aexit__, None, None, None)


@pytest.mark.parametrize(
    ("url", "variables", "complaint"),
    [
        ("s3://no-such-bucket/store", {}, "is not writable: FileNotFoundError: The specified bucket does not exist"),
        ("s3://bucket/store", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "cannot be reached (EndpointConnection"),
        ("s3://bucket/store", {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "NoCredentialsError"),
        ("foo://bucket/store", {}, "Protocol not known: foo"),
        ("gs://bucket/store", {}, "Please install gcsfs"),
    ],
    ids=["no bucket", "no server", "no credentials", "no such kind", "no package"],
)
def test_a_remote_store_that_cannot_be_used_is_said_in_one_line(
    s3, new_file_systems, monkeypatch, tmp_path, url, variables, complaint
):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in variables.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    with pytest.raises(StoreError) as caught:
        require_writable(url)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)
