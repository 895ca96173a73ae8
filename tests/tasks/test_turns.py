import signal
import subprocess
import sys
import threading

import pytest

from tasks.turns import in_turn, turn

# Takes the lock without any of Assay, so that it starts at once.
HOLDER = """
import fcntl, os, sys
descriptor = os.open(sys.argv[1], os.O_RDONLY)
fcntl.flock(descriptor, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def in_background(folder):
    """A thread that takes its turn, and the event that says that it has."""
    taken = threading.Event()

    def take():
        with turn(str(folder)):
            taken.set()

    thread = threading.Thread(target=take)
    thread.start()
    return thread, taken


def test_a_turn_is_taken_when_the_process_that_had_it_is_killed(tmp_path, holder, capfd):
    thread, taken = in_background(tmp_path)
    assert not taken.wait(0.5)
    holder.send_signal(signal.SIGKILL)
    thread.join(20)
    assert taken.is_set()
    assert capfd.readouterr().err == f"assay: another process works in {tmp_path}: waiting for it\n"


def test_a_turn_that_ends_by_an_exception_is_over_and_leaves_nothing(tmp_path):
    with pytest.raises(ArithmeticError), turn(str(tmp_path)):
        raise ArithmeticError
    with turn(str(tmp_path)):
        assert list(tmp_path.iterdir()) == []


def test_turns_in_different_folders_do_not_wait_for_each_other(tmp_path, holder):
    with turn(str(tmp_path / "a" / "b")), turn(str(tmp_path / "a")):
        pass


def test_a_function_waits_for_the_folder_that_its_arguments_name(tmp_path, holder):
    @in_turn(lambda folder, **_: str(folder))
    def double(folder, number):
        return 2 * number

    assert double(tmp_path / "free", number=3) == 6
    results = []
    thread = threading.Thread(target=lambda: results.append(double(tmp_path, number=4)))
    thread.start()
    thread.join(0.5)
    assert results == []
    holder.kill()
    thread.join(20)
    assert results == [8]


def test_a_remote_folder_has_no_turns():
    with turn("s3://bucket/store"), turn("s3://bucket/store"):
        pass


def test_a_file_system_without_locks_has_no_turns(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(45, "no locks")

    monkeypatch.setattr("fcntl.flock", refuse)
    with turn(str(tmp_path)):
        pass
