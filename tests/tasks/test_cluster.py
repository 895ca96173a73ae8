import socket

import dask
import psutil
import pytest
from distributed import Client

from tasks.cluster import ClusterError, check_scheduler, connect, open_cluster, opening_cluster


@pytest.fixture
def closed_port():
    """A loopback port that nobody listens on, held for the length of the test."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_the_local_cluster_listens_on_loopback_only_and_stops(monkeypatch):
    before = psutil.Process().children(recursive=True)
    listened = _listening([psutil.Process()])  # the session's own clusters
    with open_cluster(workers=1) as address:
        assert address.startswith("tcp://127.0.0.1:")
        started = [process for process in psutil.Process().children(recursive=True) if process not in before]
        workers = [process for process in started if "spawn_main" in " ".join(process.cmdline())]
        listening = _listening([psutil.Process(), *started]) - listened
        assert {where.ip for where in listening} == {"127.0.0.1"}
        with connect(address) as client:
            (worker,) = client.scheduler_info()["workers"].values()
            assert worker["nthreads"] == 1
    assert workers
    assert not psutil.wait_procs(workers, timeout=20)[1]


def _listening(processes):
    return {c.laddr for process in processes for c in process.net_connections() if c.status == "LISTEN"}


def test_workers_do_not_run_the_profiler_in_which_python_can_hang():
    with open_cluster(workers=1) as address, connect(address) as client:
        assert client.run(dask.config.get, "distributed.worker.profile.enabled") == dict.fromkeys(
            client.scheduler_info()["workers"], False
        )


def test_a_cluster_opens_in_the_background():
    with opening_cluster(workers=1) as address, Client(address(), set_as_default=False) as client:
        assert client.submit(sum, [1, 2]).result() == 3


def test_an_existing_scheduler_is_used_and_left_running(dask_cluster):
    with open_cluster(dask_cluster) as address:
        assert address == dask_cluster
    check_scheduler(dask_cluster)


def test_a_scheduler_that_does_not_answer_is_said_in_one_line(closed_port):
    address = f"tcp://127.0.0.1:{closed_port}"
    with pytest.raises(ClusterError) as caught, open_cluster(address):
        pytest.fail("opened a scheduler that does not exist")
    assert "\n" not in str(caught.value)
    assert address in str(caught.value)
    assert "does not answer within 10 s" in str(caught.value)


@pytest.mark.parametrize("address", ["nonsense", "ftp://127.0.0.1:1", "127.0.0.1"])
def test_an_address_that_is_none_is_said_in_one_line(address):
    with pytest.raises(ClusterError, match="does not answer") as caught:
        check_scheduler(address)
    assert "\n" not in str(caught.value)


def test_more_than_one_worker_in_one_process_is_refused():
    with pytest.raises(ClusterError, match="--scheduler in-process is one thread: leave out --workers 2"):
        check_scheduler("in-process", 2)
    check_scheduler("in-process", 1)
    check_scheduler("local", 2)


def test_a_worker_in_this_process_listens_nowhere_and_has_one_thread():
    before = _listening([psutil.Process()])
    with open_cluster("in-process") as address, connect(address) as client:
        assert address.startswith("inproc://")
        (worker,) = client.scheduler_info()["workers"].values()
        assert worker["nthreads"] == 1
        assert {where.ip for where in _listening([psutil.Process()]) - before} <= {"127.0.0.1"}
