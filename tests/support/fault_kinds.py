"""The kinds of faults: each befalls a run of a case at a drawn moment and says whether it struck.

One that did not, because the run was over before, is to be drawn again. What the run itself must do is checked here:
go on, or end with one line. What must be true afterwards is the same for all, see Case.settle.
"""

import os
import re
import resource
import shlex
import signal
import time
from contextlib import suppress

import psutil
from fault_case import SHARDS
from fault_processes import end, marked, wait_for
from fault_study import NAME, SUSPECT

AGAIN = "the same command resumes what is unfinished"


MOST = {"data": SHARDS - 1, "results": SHARDS - 1, "logging": 4, "points": 150}


def draw_moment(random, stages=("start", "data", "results", "logging")):
    """A stage and how far into it: seconds, shards, or runs in MLflow or their points."""
    stage = random.choice(stages)
    if stage == "start":
        return stage, random.uniform(0.05, 0.6)
    stage = random.choice(("logging", "points")) if stage == "logging" else stage
    return stage, random.randint(1, MOST[stage])


def reach(case, command, moment):
    """Wait for the moment; False if the run was over before."""
    stage, amount = moment
    if stage == "start":
        time.sleep(amount)
        return command.poll() is None
    return case.wait_until_at(command, stage, amount)


def ends_in_one_line(case, command, *words):
    """The run ends as refused, and says in one line why, and what to do."""
    assert command.wait() == 2, case.said()
    assert case.said().count("\n") == 1, case.said()
    assert case.said().startswith("assay: ")
    for word in (*words, AGAIN):
        assert word in case.said()


def signal_flow(case, random, number, statuses):
    command = case.start()
    moment = draw_moment(random)
    if not reach(case, command, moment):
        command.wait()
        return False
    with suppress(ProcessLookupError):
        if number == signal.SIGINT:
            os.killpg(command.pid, number)  # a terminal interrupts the whole group
        else:
            command.send_signal(number)
    status = command.wait()
    if status == 0:
        return False
    assert status in statuses, case.said()
    if status == 130:
        assert case.said().strip() == f"interrupted: {AGAIN}"
    return True


def kill_flow(case, random):
    return signal_flow(case, random, signal.SIGKILL, {-signal.SIGKILL})


def terminate_flow(case, random):
    return signal_flow(case, random, signal.SIGTERM, {130})


def interrupt_flow(case, random):
    return signal_flow(case, random, signal.SIGINT, {130})


def kill_flow_with_own_servers(case, random):
    case.own_servers()
    struck = kill_flow(case, random)
    assert wait_for(lambda: not marked(case.mark), 30, 0.2), "servers outlive the process they belong to"
    return struck


def kill_worker(case, random):
    """A worker of the cluster that was started by hand; its nanny starts another, and the run goes on."""
    command = case.start()
    if not reach(case, command, draw_moment(random, ("data", "results"))):
        return False
    nanny = random.choice(case.world.workers)
    victims = [child for child in psutil.Process(nanny.pid).children() if "spawn_main" in " ".join(child.cmdline())]
    for victim in victims:
        victim.kill()
    assert command.wait() == 0, case.said()
    assert case.said() == ""
    return bool(victims)


def kill_own_worker(case, random):
    """A worker of the command's own cluster."""
    case.options = ["--workers", "2"]
    command = case.start()
    if not reach(case, command, draw_moment(random, ("data", "results"))):
        return False
    victims = [process for process in marked(case.mark) if "spawn_main" in " ".join(process.cmdline())]
    random.choice(victims).kill()
    assert command.wait() == 0, case.said()
    assert case.said() == ""
    return True


def kill_scheduler(case, random):
    command = case.start()
    if not reach(case, command, draw_moment(random, ("data", "results"))):
        return False
    end(case.world.scheduler)
    ends_in_one_line(case, command, "Dask scheduler")
    case.world.cluster()
    return True


def kill_prefect(case, random):
    """An external Prefect server, which comes back with its database while the run waits."""
    command = case.start()
    if not reach(case, command, draw_moment(random, ("data", "results", "logging"))):
        return False
    end(case.world.prefect)
    time.sleep(random.uniform(0, 2))
    case.world.start_prefect()
    assert command.wait() == 0, case.said()
    assert case.said() == ""
    return True


def kill_own_prefect(case, random):
    """The embedded Prefect server; another takes its place."""
    case.own_servers()
    command = case.start()
    if not reach(case, command, draw_moment(random, ("data", "results", "logging"))):
        return False
    servers = [process for process in marked(case.mark) if "flows.embedded_server" in process.cmdline()]
    random.choice(servers).kill()
    assert command.wait() == 0, case.said()
    assert case.said() == ""
    return True


def kill_mlflow(case, random):
    """An MLflow server, which comes back with its database: while the run waits, or after it has given up."""
    world = case.world
    if world.mlflow is None or world.mlflow.poll() is not None:
        world.start_mlflow()
    assert wait_for(world.mlflow_answers, pause=0.1)
    comes_back = random.random() < 0.5
    case.database = world.mlflow_database
    case.environment |= {
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{world.mlflow_port}",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "6" if comes_back else "1",
    }
    command = case.start()
    if not reach(case, command, draw_moment(random, ("results", "logging"))):
        return False
    end(world.mlflow)
    world.mlflow = None
    if comes_back:
        world.start_mlflow()
        assert command.wait() == 0, case.said()
        assert case.said() == ""
    else:
        ends_in_one_line(case, command, "MLflow server")
        world.start_mlflow()
    assert wait_for(world.mlflow_answers, pause=0.1)
    return True


def fill_disk(case, random):
    """No process of the run may write a file beyond a drawn size any more, as on a disk that is nearly full."""
    case.options = ["--workers", "1"]
    command = case.start(out=os.devnull)
    if not reach(case, command, draw_moment(random, ("data", "results"))):
        return False
    size = int(10 ** random.uniform(3, 4))
    for pid in {command.pid, *(process.pid for process in marked(case.mark))}:
        with suppress(ProcessLookupError):
            _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
    if command.wait() == 0:
        return False
    ends_in_one_line(case, command, "cannot be written to any more", "File too large", "make room")
    return True


def forbid_writing(case, random):
    """The store becomes read-only, all of it or a part."""
    case.options = ["--workers", "1"]
    command = case.start(obeys_permissions=True)
    moment = draw_moment(random, ("data", "results"))
    if not reach(case, command, moment):
        return False
    part = case.store / random.choice(["", "datasets" if moment[0] == "data" else "results"])
    folders = [part, *(path for path in part.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    status = command.wait()
    for folder in folders:
        folder.chmod(0o755)
    if status == 0:
        return False
    ends_in_one_line(case, command, "cannot be written to any more", "Permission denied", "make it writable")
    return True


def damage(case, random, change):
    """A chunk of a finished or unfinished store changes; it is named, and computed again when that is asked for."""
    command = case.start()
    if random.random() < 0.5 and reach(case, command, draw_moment(random, ("data", "results"))):
        command.send_signal(signal.SIGKILL)
    command.wait()
    time.sleep(0.3)  # workers end what they have begun
    store = random.choice([store for store in case.stores() if store.exists()])
    chunks = sorted(path for path in store.rglob("c/**/*") if path.is_file() and path.parts[-3:][0] != "c")
    chunks = [path for path in chunks if path.stat().st_size]
    victim = random.choice(chunks)
    content = bytearray(victim.read_bytes())
    victim.write_bytes(change(content, random))
    rerun = case.start()
    if rerun.wait() != 0:
        assert rerun.wait() == 2, case.said()
        assert "run again with --repair" in case.said()
        assert case.said().count("\n") == 1
        assert str(store) in case.said()
    repair = case.start("--repair")
    assert repair.wait() == 0, case.said()
    return True


def _cut(content, random):
    return bytes(content[: random.randrange(len(content))])


def _flip(content, random):
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    return bytes(content)


def truncate_chunk(case, random):
    return damage(case, random, _cut)


def flip_bit(case, random):
    return damage(case, random, _flip)


def run_twice(case, random):
    """Two identical commands at once on one store: one waits for the other."""
    first = case.start()
    said = [case.folder / "err-1", case.folder / "err-2"]
    if random.random() < 0.5:
        reach(case, first, draw_moment(random))
    second = case.start()
    assert (first.wait(), second.wait()) == (0, 0), [path.read_text() for path in said]
    for path in said:
        assert all("another process works in" in line for line in path.read_text().splitlines())
    return True


def jump_clock(case, random):
    """The clock of the command jumps by hours or days, to and fro."""
    command = case.start()
    if not reach(case, command, draw_moment(random)):
        return False
    case.world.set_clock(random.choice([-1, 1]) * random.uniform(600, 2e6))
    try:
        assert command.wait() == 0, case.said()
        assert case.said() == ""
    finally:
        case.world.set_clock(0)
    return True


def misbehave(case, random, mischief, reason, options=()):
    """A contender does wrong on one instance; the others go on, and who failed where is reported with a way back."""
    victim = random.randrange(SHARDS)
    case.misbehave(mischief, victim, *options)
    command = case.start()
    assert command.wait() == 0, case.said()
    (failure,) = case.report()["results"][0]["failures"]
    assert (failure["study"], failure["problem"]) == (NAME, "cancelling-sums")
    assert (failure["contender"], failure["shard"], failure["shards"]) == (SUSPECT, victim, 1)
    assert reason in failure["reason"]
    assert re.search(r"process \d+ of ", failure["worker"])
    assert (failure["last_residual"] is not None) == (mischief == "nan")
    program, *arguments = shlex.split(failure["command"])
    assert (program, arguments[-2:]) == ("assay", ["--shard", f"cancelling-sums:{victim}"])
    alone = case.start_alone(arguments)
    assert alone.wait() == 1, case.said()
    if mischief != "hangs":  # that one ends with the stacks of its threads
        assert SUSPECT in (case.folder / f"out-{case.starts}").read_text()
    return True


def raise_error(case, random):
    return misbehave(case, random, "raises", "ArithmeticError: the pivot is zero")


def return_nan(case, random):
    return misbehave(case, random, "nan", "not finite")


def hang(case, random):
    return misbehave(case, random, "hangs", "longer than the limit of 10 s", ("--time-limit", "10"))


def hoard(case, random):
    return misbehave(case, random, "hoards", "0.5 GiB are allowed", ("--memory-limit", "0.5"))


KINDS = {
    "kill -9 of the flow": (kill_flow, 40),
    "SIGTERM": (terminate_flow, 16),
    "Ctrl-C": (interrupt_flow, 16),
    "kill -9 of the flow with servers of its own": (kill_flow_with_own_servers, 6),
    "kill -9 of a worker": (kill_worker, 14),
    "kill -9 of a worker of its own": (kill_own_worker, 6),
    "kill -9 of the scheduler": (kill_scheduler, 8),
    "kill -9 of the Prefect server": (kill_prefect, 8),
    "kill -9 of the Prefect server of its own": (kill_own_prefect, 4),
    "kill -9 of the MLflow server": (kill_mlflow, 10),
    "full disk": (fill_disk, 10),
    "read-only store": (forbid_writing, 6),
    "truncated chunk": (truncate_chunk, 12),
    "flipped bit": (flip_bit, 12),
    "two runs at once": (run_twice, 10),
    "clock jump": (jump_clock, 8),
    "contender that raises": (raise_error, 4),
    "contender that returns NaN": (return_nan, 4),
    "contender that hangs": (hang, 3),
    "contender that eats memory": (hoard, 3),
}
