"""The configuration files of docs/examples: what they start is what the same programs take, with our settings."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import dask
import pytest
import yaml
from dask_jobqueue import SLURMCluster
from distributed.cli import dask_scheduler, dask_worker

from flows.cli import main
from tasks.cluster import CONFIGURATION, check_scheduler, connect

EXAMPLES = Path(__file__).parent.parent.parent / "docs" / "examples"
PROGRAMS = {"dask scheduler": dask_scheduler.main, "dask worker": dask_worker.main, "assay run": main.commands["run"]}
SBATCH = """#!/bin/sh
sh "$1" >"$1.log" 2>&1 &
echo "Submitted batch job $!"
"""


def settings_in(configuration):
    return {key: dask.config.get(key, config=configuration) for key in CONFIGURATION}


def parsed(command):
    """What a program makes of a command; fails where it would refuse it."""
    program, arguments = " ".join(command[:2]), command[2:]
    return PROGRAMS[program].make_context(program, [*arguments]).params


@pytest.fixture
def jobqueue():
    files = [yaml.safe_load((EXAMPLES / name).read_text()) for name in ("dask.yaml", "jobqueue.yaml")]
    with dask.config.set(dask.config.merge(dask.config.config, *files)):
        yield


@pytest.fixture(scope="module")
def kubernetes():
    documents = list(yaml.safe_load_all((EXAMPLES / "kubernetes.yaml").read_text()))
    return {f"{document['kind']} {document['metadata']['name']}": document for document in documents}


def containers(kubernetes):
    found = {}
    for document in kubernetes.values():
        for container in document.get("spec", {}).get("template", {}).get("spec", {}).get("containers", []):
            found[container["name"]] = container
    return found


def test_the_settings_for_schedulers_and_workers_are_those_of_a_local_cluster():
    assert settings_in(yaml.safe_load((EXAMPLES / "dask.yaml").read_text())) == CONFIGURATION


def test_a_slurm_job_starts_single_threaded_workers_with_nannies(jobqueue, tmp_path):
    options = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with SLURMCluster(scheduler_options=options, log_directory=str(tmp_path)) as cluster:
        script = cluster.job_script()
        address = cluster.scheduler_address
    command = script.strip().splitlines()[-1].split()
    assert {"#SBATCH -J assay", "#SBATCH -p compute", "#SBATCH --cpus-per-task=16", "#SBATCH -t 04:00:00"} <= {
        line.strip() for line in script.splitlines()
    }
    assert "export OPENBLAS_NUM_THREADS=1" in script
    assert command[:3] == [sys.executable, "-m", "distributed.cli.dask_worker"]
    worker = parsed(["dask", "worker", *command[3:]])
    assert (worker["scheduler"], worker["nthreads"], worker["n_workers"]) == (address, 1, "16")
    assert (worker["nanny"], worker["memory_limit"], worker["preload"]) == (True, "0", ("tasks.interrupts",))


@pytest.mark.slow
def test_the_slurm_cluster_of_the_documentation_computes_where_sbatch_starts_its_script_here(tmp_path):
    for name, content in {"sbatch": SBATCH, "scancel": "#!/bin/sh\nkill $1\n"}.items():
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o755)
    changes = {"cores": 2, "processes": 2, "log-directory": None, "interface": "lo"}
    configuration = yaml.safe_load((EXAMPLES / "jobqueue.yaml").read_text())
    configuration["jobqueue"]["slurm"] |= changes
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "jobqueue.yaml").write_text(yaml.safe_dump(configuration))
    (tmp_path / "config" / "dask.yaml").write_text((EXAMPLES / "dask.yaml").read_text())
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "DASK_CONFIG": str(tmp_path / "config")}
    command = [sys.executable, str(EXAMPLES / "slurm_cluster.py"), "1"]
    with subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True) as process:
        try:
            address = process.stdout.readline().strip()
            with connect(address) as client:
                client.wait_for_workers(2, timeout=60)
                check_scheduler(address)
                assert client.submit(sum, [1, 2]).result() == 3
                allowed = client.run(dask.config.get, "distributed.worker.profile.enabled")
                assert set(allowed.values()) == {False}
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
    assert process.returncode == 0


def test_every_command_for_kubernetes_is_one_that_its_program_takes(kubernetes):
    commands = {name: [*one["command"], *one["args"]] for name, one in containers(kubernetes).items()}
    assert commands.keys() == {"scheduler", "worker", "run"}
    service = kubernetes["Service dask-scheduler"]
    (port,) = (one["port"] for one in service["spec"]["ports"])
    address = f"tcp://{service['metadata']['name']}:{port}"
    assert parsed(commands["scheduler"])["port"] == str(port)
    worker = parsed(commands["worker"])
    assert (worker["scheduler"], worker["nthreads"], worker["n_workers"]) == (address, 1, "1")
    assert (worker["nanny"], worker["memory_limit"], worker["preload"]) == (True, "0", ("tasks.interrupts",))
    assert parsed(commands["run"])["scheduler"] == address


def test_selectors_on_kubernetes_find_their_pods(kubernetes):
    for document in kubernetes.values():
        if document["kind"] == "Deployment":
            labels = document["spec"]["template"]["metadata"]["labels"]
            assert document["spec"]["selector"]["matchLabels"] == labels
    service, scheduler = kubernetes["Service dask-scheduler"], kubernetes["Deployment dask-scheduler"]
    assert service["spec"]["selector"] == scheduler["spec"]["template"]["metadata"]["labels"]


def test_the_environment_on_kubernetes_has_our_settings_and_no_secret(kubernetes):
    environment = kubernetes["ConfigMap assay"]["data"]
    assert settings_in(dask.config.collect_env(environment)) == CONFIGURATION
    assert environment["OPENBLAS_NUM_THREADS"] == "1"
    assert environment["ASSAY_STORE"].startswith("s3://")
    assert not [name for name in environment if "SECRET" in name or "AUTH" in name or "MLFLOW" in name]
    for container in containers(kubernetes).values():
        sources = [source for one in container["envFrom"] for source in one]
        assert sources == ["configMapRef"] if container["name"] == "scheduler" else ["configMapRef", "secretRef"]
