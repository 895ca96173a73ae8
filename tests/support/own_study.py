"""A study that only tests have; run as a program with the name of its module, the command line with that study."""

import contextlib
import sys
from importlib import import_module

from flows.registry import study_families


def register(module):
    """Let the command line find the study of a module, as if it lay in the folder of the studies."""
    study_families()[module.NAME] = "examples"
    sys.modules[_registered_name(module)] = module


@contextlib.contextmanager
def registered(module):
    """Let this process find the study of a module meanwhile."""
    register(module)
    try:
        yield
    finally:
        del study_families()[module.NAME], sys.modules[_registered_name(module)]


def _registered_name(module):
    return f"flows.studies.examples.{module.NAME.replace('-', '_')}"


if __name__ == "__main__":
    from flows.cli import main
    from flows.cli_options import quiet

    quiet(False)  # before the study imports what it quiets
    register(import_module(sys.argv.pop(1)))
    main()
