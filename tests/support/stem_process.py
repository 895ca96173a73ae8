"""A process that has imported all that commands need, and becomes one for each request: importing takes seconds.

Every command is a process of its own, the leader of a session, and is waited for by a keeper that says how it ended.
A request is a line of JSON on a connection to a Unix socket; the answers are two lines, the number of the process and
its exit status. The environment of the command is set before it reads its arguments.
"""

import ctypes
import importlib
import json
import os
import signal
import socket
import sys
import tempfile

# linux/capability.h and linux/prctl.h
CAPABILITY_VERSION = 0x20080522
DAC_OVERRIDE, DAC_READ_SEARCH = 1, 2
DROP_FROM_BOUNDING_SET = 24
NEEDED = (
    "flows.cli",
    "flows.output",
    "flows.session",
    "flows.study",
    "flows.study_record",
    "matplotlib.backends.backend_agg",
    "mlflow.store.tracking.rest_store",
    "mlflow.store.tracking.sqlalchemy_store",
)


def serve(place):
    """Fork a keeper for each request; returns the request in the process that is to fulfil it."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for keepers
    server = socket.socket(socket.AF_UNIX)
    server.bind(place)
    server.listen()
    while True:
        connection, _ = server.accept()
        if os.fork():
            connection.close()
            continue
        server.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        request = json.loads(connection.makefile().readline())
        command = os.fork()
        if command == 0:
            connection.close()
            return request
        connection.sendall(f"{command}\n".encode())
        _, status = os.waitpid(command, 0)
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)


def obey_permissions():
    """Give up what lets root write to folders that are read-only, for this process and those that it starts."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable, of capabilities 0 to 31 and of the others
    assert libc.capget(header, sets) == 0
    for capability in (DAC_OVERRIDE, DAC_READ_SEARCH):
        assert libc.prctl(DROP_FROM_BOUNDING_SET, capability, 0, 0, 0) == 0
        for kind in range(3):
            sets[kind] &= ~(1 << capability)
    assert libc.capset(header, sets) == 0


def prepare(request):
    """Turn this process into that of the request: session, folder, environment, outputs, limits and user."""
    os.setsid()
    os.environ.clear()
    os.environ.update(request["environment"])
    tempfile.tempdir = None
    os.chdir(request["folder"])
    for descriptor, path in enumerate((os.devnull, request["out"], request["err"])):
        opened = os.open(path, os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(opened, descriptor)
        os.close(opened)
    if request.get("obeys_permissions"):
        obey_permissions()
    sys.argv = ["assay", *request["arguments"]]


if __name__ == "__main__":
    from flows.cli_options import quiet

    quiet(False)  # before what it quiets is imported
    importlib.import_module("own_study").register(importlib.import_module("fault_study"))
    for module in NEEDED:
        importlib.import_module(module)

    order = serve(sys.argv[1])
    prepare(order)
    importlib.import_module("flows.cli").main()
