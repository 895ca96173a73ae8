"""What a user can get wrong: exit status 2, one line that says what is allowed, and nothing left behind."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from commands import Assay
from files import bytes_below

from flows.plan import plan_study
from flows.registry import find_study
from flows.study import StudyName, run_study
from tasks.layout import Description, Layout
from tasks.store import prepare_store
from tasks.study import Size

RUN = ["run", "skr", "--size", "small"]
GENERATE = ["generate", "darcy-lognormal", "--count", "4"]

# arguments, environment and the words that the line must have; {...} are places and ports that the fixture prepares
CASES = {
    "unknown study": (["run", "skrr"], {}, ["unknown study 'skrr'", "did you mean 'skr'"]),
    "a study name that leaves the store": (["run", "../skr"], {}, ["unknown study '../skr'", "skr"]),
    "unknown size": ([*RUN[:2], "--size", "smal"], {}, ["unknown size 'smal'", "did you mean 'small'"]),
    "unknown setting": ([*RUN, "--set", "gird=8"], {}, ["'gird'", "did you mean 'grid'"]),
    "no value": ([*RUN, "--set", "grid"], {}, ["--set 'grid'", "KEY=VALUE"]),
    "not a number": ([*RUN, "--set", "tolerance=NaN"], {}, ["tolerance=nan", "finite"]),
    "no worker": ([*RUN, "--workers", "0"], {}, ["--workers", "1<=x<=1024"]),
    "unknown family": (["campaign", "--family", "linear-systems"], {}, ["did you mean 'linear_systems'"]),
    "unknown study of a campaign": (["campaign", "--studies", "skr,skrr"], {}, ["did you mean 'skr'"]),
    "unknown problem": (["generate", "darcy-lognrmal"], {}, ["did you mean 'darcy-lognormal'"]),
    "a problem name that leaves the store": (["generate", "../darcy"], {}, ["unknown problem '../darcy'"]),
    "unknown parameter": ([*GENERATE, "--set", "gird=8"], {}, ["'gird'", "did you mean 'grid'"]),
    "unknown solver": ([*GENERATE, "--solver", "gmress"], {}, ["did you mean 'gmres'"]),
    "no instances": (["generate", "darcy-lognormal", "--count", "0"], {}, ["count=0", "at least 1"]),
    "fewer than none": (["generate", "darcy-lognormal", "--count", "-1"], {}, ["count=-1", "at least 1"]),
    "a grid of one": ([*GENERATE, "--set", "grid=1"], {}, ["grid=1", "greater than or equal to 4"]),
    "a grid beyond memory": ([*GENERATE, "--set", "grid=1000000000"], {}, ["GiB"]),
    "a study's grid beyond memory": ([*RUN, "--set", "grid=1000000000"], {}, ["grid", "GiB"]),
    "a tolerance that is no number": ([*GENERATE, "--tolerance", "nan"], {}, ["tolerance=nan"]),
    "a store below a file": ([*RUN, "--store", "{file}/store"], {}, ["{file}", "not writable"]),
    "a data set below a file": ([*GENERATE, "--out", "{file}/a.zarr"], {}, ["{file}", "not writable"]),
    "a data set of other parameters": ([*GENERATE, "--out", "{other}"], {}, ["{other}", "made by other parameters"]),
    "a folder of other files": ([*GENERATE, "--out", "{foreign}"], {}, ["{foreign}", "not a store of Assay"]),
    "no Dask scheduler": (
        [*RUN, "--scheduler", "tcp://127.0.0.1:{port}"],
        {},
        ["tcp://127.0.0.1:{port}", "does not answer within 10 s"],
    ),
    "no address": ([*RUN, "--scheduler", "nonsense"], {}, ["'nonsense'", "tcp://127.0.0.1:8786"]),
    "no MLflow server": (
        [*RUN, "--scheduler", "{scheduler}"],
        {"MLFLOW_TRACKING_URI": "http://127.0.0.1:{port}"},
        ["http://127.0.0.1:{port}", "does not answer within 10 s"],
    ),
    "unknown run": (["reproduce", "nonsense"], {}, ["no run 'nonsense'"]),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory, dask_cluster):
    """What the cases refer to, and the closed port, which nobody else can take meanwhile."""
    folder = tmp_path_factory.mktemp("places")
    (folder / "file").touch()
    (folder / "foreign").mkdir()
    (folder / "foreign" / "thesis.txt").write_text("years of work")
    prepare_store(str(folder / "other"), Layout("0123", 1, 1, {}), lambda: Description({}, {}))
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield {
            "port": held.getsockname()[1],
            "scheduler": dask_cluster,
            **{name: folder / name for name in ("file", "foreign", "other")},
        }


@pytest.fixture(scope="module")
def commands(tmp_path_factory, prefect_api):
    started = Assay(tmp_path_factory.mktemp("bad input"), prefect_api)
    yield started
    started.stop_all()


@pytest.fixture(scope="module")
def outcomes(commands, places):
    """All cases, two at a time: each is a process of a few seconds."""

    def run(arguments, environment):
        filled = {key: value.format(**places) for key, value in environment.items()}
        return commands(*(argument.format(**places) for argument in arguments), **filled)

    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(run, arguments, environment) for name, (arguments, environment, _) in CASES.items()}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_refused_in_one_line(case, outcomes, places):
    _, _, words = CASES[case]
    outcome = outcomes[case].result()
    assert outcome.returncode == 2, outcome.stderr
    assert outcome.stdout == ""
    assert len(outcome.stderr.splitlines()) == 1, outcome.stderr
    assert outcome.stderr.startswith("assay: ")
    assert all(word.format(**places) in outcome.stderr for word in words), outcome.stderr


def test_bad_input_leaves_nothing_behind(outcomes, commands, places):
    for outcome in outcomes.values():
        outcome.result()
    assert not commands.store.exists()
    assert list(commands.folder.iterdir()) == []
    assert places["file"].read_bytes() == b""
    assert bytes_below(places["foreign"]) == {"thesis.txt": b"years of work"}


def test_a_damaged_chunk_is_named_and_computed_again_on_request(assay, dask_cluster):
    study, options = StudyName("compensated-summation"), ["--size", "small", "--scheduler", dask_cluster, "--json"]
    run_study(study, size=Size.SMALL, store=str(assay.store), scheduler=dask_cluster)
    plan = plan_study(find_study(study), Size.SMALL, {}, str(assay.store))
    data_set = Path(plan.data_url("cancelling-sums"))
    intact = bytes_below(data_set)
    chunk = data_set / "terms" / "c" / "1" / "0"
    chunk.write_bytes(chunk.read_bytes()[:-3])

    refused = assay("run", study, *options, "--fresh")
    assert refused.returncode == 2, refused.stderr
    (line,) = refused.stderr.splitlines()
    assert all(word in line for word in [str(data_set), "shard 1", "instances 8 to 15", "--repair"])

    mended = assay("run", study, *options, "--fresh", "--repair")
    assert mended.returncode == 0, mended.stderr
    report = json.loads(mended.stdout)
    assert report["data_sets"][0]["shards_reused"] == 2
    assert bytes_below(data_set) == intact
