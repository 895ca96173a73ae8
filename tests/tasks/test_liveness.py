import subprocess
import sys

import psutil
import pytest

from tasks.liveness import is_gone, this_host, this_process


def parts():
    return this_process().split("-")


def test_this_process_is_there():
    assert not is_gone(this_process())


def test_a_process_that_has_ended_is_gone():
    boot, _, start = parts()
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        number = process.pid
    assert is_gone(f"{boot}-{number}-{start}")


def test_a_process_that_nobody_has_waited_for_yet_is_gone():
    boot, _, _ = parts()
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as process:
        start = psutil.Process(process.pid).create_time() - psutil.boot_time()
        process.stdout.read()
        process.stdout.close()
        for _ in range(1000):
            if psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE:
                break
        assert is_gone(f"{boot}-{process.pid}-{start:.2f}")


def test_another_process_of_the_same_number_does_not_stand_for_it():
    boot, number, start = parts()
    assert is_gone(f"{boot}-{number}-{float(start) - 60:.2f}")
    assert is_gone(f"00000000-{number}-{start}")


def test_a_clock_that_is_set_makes_nobody_look_gone(monkeypatch):
    name = this_process()
    boot, create = psutil.boot_time(), psutil.Process.create_time
    monkeypatch.setattr("psutil.boot_time", lambda: boot + 7200)
    monkeypatch.setattr("psutil.Process.create_time", lambda self: create(self) + 7200)
    assert not is_gone(name)


@pytest.mark.parametrize("name", ["", "nobody", "a-b-c", "1-2"])
def test_what_is_no_name_is_not_judged(name):
    assert not is_gone(name)


def test_the_host_tells_process_namespaces_apart(monkeypatch):
    here = this_host()
    monkeypatch.setattr("pathlib.Path.readlink", lambda _: "pid:[1]")
    assert this_host() not in {here, ""}
