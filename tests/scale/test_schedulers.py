"""The same study in this process, on schedulers and workers started by hand, and behind TLS: the same bytes."""

import re
import subprocess
import threading
from pathlib import Path

import dask
import psutil
import pytest
import yaml
from files import bytes_below
from servers import dask_by_hand, write_certificates

from flows.plan import plan_study
from flows.registry import find_study
from flows.study import StudyName, run_study
from tasks.cluster import TLS_SETTINGS, ClusterError, check_scheduler, connect, open_cluster
from tasks.results import results_url
from tasks.study import Size

REPOSITORY = Path(__file__).parent.parent.parent
GUIDE = (REPOSITORY / "docs" / "from-laptop-to-cluster.md").read_text()
SETTINGS = {"instances": 4, "repetitions": 6, "shard_size": 2, "length": 500}
STUDY = "compensated-summation"


def documented(program, holding=""):
    """The command of the guide that starts a program, on one line."""
    text = GUIDE.replace("\\\n", " ")
    (command,) = {
        " ".join(line.split())
        for line in re.findall(rf"^    (.*dask {program} .*)$", text, re.MULTILINE)
        if ("--tls" in line) == bool(holding)
    }
    return command


def run(root, scheduler):
    """Run the study; the bytes of its data and results."""
    report = run_study(StudyName(STUDY), size=Size.SMALL, settings=SETTINGS, store=root, scheduler=scheduler)
    assert [made["shards_reused"] for made in report["data_sets"] + report["results"]] == [0, 0]
    plan = plan_study(find_study(STUDY), Size.SMALL, SETTINGS, root)
    (problem,) = plan.folders
    return bytes_below(plan.data_url(problem)), bytes_below(results_url(plan.folders[problem]))


@pytest.fixture(scope="module")
def locally(prefect_api, dask_cluster, make_root):
    """What the study gives on a local cluster."""
    return run(make_root("local"), dask_cluster)


def test_a_study_in_this_process_gives_the_same_bytes_and_starts_no_other(locally, make_root):
    before = set(psutil.Process().children(recursive=True))
    names = set()
    with open_cluster("in-process") as address:
        with connect(address) as client:
            worker_thread = client.submit(lambda: threading.get_ident()).result()
            names = {thread.ident for thread in threading.enumerate()}
        assert set(psutil.Process().children(recursive=True)) <= before
    assert worker_thread in names
    assert run(make_root("in-process"), "in-process") == locally


def test_two_workers_started_by_hand_give_the_same_bytes(locally, make_root, tmp_path):
    environment = {"DASK_CONFIG": str(REPOSITORY / "docs" / "examples" / "dask.yaml")}
    with dask_by_hand(tmp_path, documented("scheduler"), documented("worker"), **environment) as address:
        with connect(address) as client:
            workers = client.scheduler_info(n_workers=-1)["workers"]
            assert [worker["nthreads"] for worker in workers.values()] == [1, 1]
            assert all(worker["nanny"] for worker in workers.values())
            assert set(client.run(dask.config.get, "distributed.worker.profile.enabled").values()) == {False}
            failures = client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.allowed_failures)
            assert failures == 50
        assert run(make_root("by-hand"), address) == locally
    assert "Failed" not in (tmp_path / "scheduler.log").read_text()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Certificates of a cluster, and others of somebody else's."""
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("ours", "theirs"):
        write_certificates(folder / name)
    return folder


@pytest.fixture(scope="module")
def behind_tls(certificates, tmp_path_factory):
    """The address of a scheduler behind TLS with two workers."""
    commands = [documented(program, "--tls").replace("certificates", str(certificates / "ours"))
                for program in ("scheduler", "worker")]  # fmt: skip
    with dask_by_hand(tmp_path_factory.mktemp("tls"), *commands) as address:
        yield address


def client_with(folder):
    """The configuration that Dask makes of the environment of a client."""
    files = ("ca.pem", "node.pem", "node-key.pem")
    environment = {name: str(folder / file) for name, file in zip(TLS_SETTINGS, files, strict=True)}
    return dask.config.merge(dask.config.config, dask.config.collect_env(environment))


def test_a_study_behind_tls_gives_the_same_bytes(locally, make_root, behind_tls, certificates):
    assert behind_tls.startswith("tls://")
    with dask.config.set(client_with(certificates / "ours")):
        assert run(make_root("tls"), behind_tls) == locally


@pytest.mark.parametrize(
    ("files", "scheme", "complaint"),
    [
        (None, "tls", "needs certificates (not set): check DASK_DISTRIBUTED__COMM__TLS__CA_FILE"),
        ("nobody's", "tls", "needs certificates (No such file"),
        ("theirs", "tls", "do not agree on TLS"),
    ],
)
def test_a_client_without_the_right_certificate_is_refused_in_one_line(
    behind_tls, certificates, files, scheme, complaint
):
    configuration = client_with(certificates / files) if files else {}
    with dask.config.set(configuration), pytest.raises(ClusterError) as caught:
        check_scheduler(behind_tls)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_certificate_of_somebody_elses_that_trusts_ours_is_refused_too(behind_tls, certificates):
    configuration = client_with(certificates / "theirs")
    configuration["distributed"]["comm"]["tls"]["ca-file"] = str(certificates / "ours" / "ca.pem")
    with dask.config.set(configuration), pytest.raises(ClusterError, match="do not agree on TLS"):
        check_scheduler(behind_tls)


def test_a_scheduler_without_tls_is_told_from_one_with_it(dask_cluster, certificates):
    address = dask_cluster.replace("tcp://", "tls://")
    with dask.config.set(client_with(certificates / "ours")), pytest.raises(ClusterError, match="do not agree on TLS"):
        check_scheduler(address)


def test_the_certificates_that_the_guide_makes_with_openssl_are_taken(tmp_path):
    (commands,) = re.findall(r"```sh\n(mkdir certificates.*?)```", GUIDE, re.DOTALL)
    for command in commands.replace("\\\n", " ").splitlines():
        subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    with dask.config.set(client_with(tmp_path / "certificates")), pytest.raises(ClusterError, match="does not answer"):
        check_scheduler("tls://127.0.0.1:9")


def test_the_guide_tells_of_the_settings_that_the_examples_hold():
    settings = yaml.safe_load((REPOSITORY / "docs" / "examples" / "dask.yaml").read_text())
    assert settings["distributed"]["worker"]["profile"]["enabled"] is False
    assert "docs/examples/dask.yaml" in GUIDE
