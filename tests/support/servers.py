"""Servers as their users start them: processes of their own on free loopback ports, ended with the test."""

import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

REPOSITORY = Path(__file__).parent.parent.parent
PROGRAMS = Path(sys.executable).parent
PATIENCE = 60
POSTGRES_PLACES = ":".join([os.environ["PATH"], *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"))[::-1])])
POSTGRES = {name: shutil.which(name, path=POSTGRES_PLACES) for name in ("initdb", "pg_ctl", "createdb", "psql")}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: Sequence[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose output lies in a file; it is told to end, and killed if it does not."""
    program = PROGRAMS / command[0]
    inherited = {name: value for name, value in os.environ.items() if name != "DASK_LOGGING"}  # of a quiet command
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(program) if program.exists() else command[0], *command[1:]],
            env={**inherited, **environment},
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for_word(word: str, log: Path, process: subprocess.Popen[bytes], times: int = 1) -> None:
    """Wait until a process says something; fails with all that it said if it ends first."""
    deadline = time.monotonic() + PATIENCE
    while log.read_text().count(word) < times:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def wait_for_answer(url: str, log: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until a web server answers, whatever it says."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            httpx.get(url)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(log.read_text())


@contextmanager
def dask_by_hand(folder: Path, scheduler: str, worker: str, **environment: str) -> Iterator[str]:
    """The address of a scheduler and two workers, by the commands of the documentation on a free port."""
    places = {"scheduler-host": "127.0.0.1", "8786": str(free_port()), "127.0.0.1:8787": "127.0.0.1:0"}
    for written, here in places.items():
        scheduler, worker = scheduler.replace(written, here), worker.replace(written, here)
    start_scheduler, start_worker = shlex.split(scheduler), shlex.split(worker)
    with ExitStack() as stack:
        log = folder / "scheduler.log"
        process = stack.enter_context(running(start_scheduler, log, **environment))
        wait_for_word("Scheduler at:", log, process)
        for name in ("worker-1.log", "worker-2.log"):
            stack.enter_context(running(start_worker, folder / name, **environment))
        wait_for_word("Starting worker compute stream", log, process, times=2)
        yield next(word for word in start_worker if "://" in word)


@contextmanager
def s3_server(folder: Path) -> Iterator[Mapping[str, str]]:
    """The environment in which s3://bucket lies on a server of this machine."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    log = folder / "s3.log"
    environment = {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with running(["moto_server", "-H", "127.0.0.1", "-p", str(port)], log) as process:
        wait_for_answer(address, log, process)
        httpx.put(f"{address}/bucket").raise_for_status()
        yield environment


@contextmanager
def postgresql(*databases: str) -> Iterator[Mapping[str, str]]:
    """The addresses, without their scheme, of new databases on a server of this machine.

    The server refuses to be started by root, so there it belongs to nobody.
    """
    user = "nobody" if os.geteuid() == 0 else None
    port = str(free_port())

    def run(program: str, *arguments: str) -> None:
        command = [str(POSTGRES[program]), *arguments]
        completed = subprocess.run(command, user=user, cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        assert completed.returncode == 0, log.read_text()

    with tempfile.TemporaryDirectory(prefix="assay-postgresql-") as folder:
        log = Path(folder, "log")
        output = log.open("wb")
        if user:
            shutil.chown(folder, user)
        data = str(Path(folder, "data"))
        server = ["-h", "127.0.0.1", "-p", port]
        run("initdb", "-D", data, "-U", "assay", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")
        run("pg_ctl", "-D", data, "-o", " ".join([*server, "-k", folder, "-c", "fsync=off"]), "-w", "start")
        try:
            for database in databases:
                run("createdb", *server, "-U", "assay", database)
            yield {database: f"assay@127.0.0.1:{port}/{database}" for database in databases}
        finally:
            run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
            output.close()


@contextmanager
def prefect_server(folder: Path, **environment: str) -> Iterator[str]:
    """The address of a Prefect server's API."""
    port = str(free_port())
    log = folder / "prefect.log"
    settings = {"PREFECT_HOME": str(folder / "prefect"), "PREFECT_SERVER_LOGGING_LEVEL": "WARNING", **environment}
    command = ["prefect", "server", "start", "--no-ui", "--host", "127.0.0.1", "--port", port]
    with running(command, log, **settings) as process:
        wait_for_answer(f"http://127.0.0.1:{port}/api/health", log, process)
        yield f"http://127.0.0.1:{port}/api"


def write_certificates(folder: Path) -> None:
    """An authority of a cluster and what it signs for a node: ca.pem, node.pem and node-key.pem."""
    folder.mkdir(exist_ok=True)
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("authority", "node")}
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
    for name, key in keys.items():
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(authority)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.now(UTC) - timedelta(days=1))
            .not_valid_after(datetime.now(UTC) + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=name == "authority", path_length=None), critical=True)
            .sign(keys["authority"], hashes.SHA256())
        )
        file = folder / {"authority": "ca.pem", "node": "node.pem"}[name]
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "node-key.pem").write_bytes(
        keys["node"].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
