"""The contents of folders, to compare stores byte by byte."""

import re
from pathlib import Path

COMMIT = re.compile(rb'"git_commit": "[^"]*"')


def bytes_below(folder):
    """The content of every file below a folder, by its relative path.

    The commit is left out: one made while the tests run is no difference between two stores.
    """
    return {
        str(path.relative_to(folder)): COMMIT.sub(b"", path.read_bytes())
        if path.name == "zarr.json"
        else path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file()
    }
