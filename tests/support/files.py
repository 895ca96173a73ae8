"""The contents of folders, to compare stores byte by byte."""

from pathlib import Path


def bytes_below(folder):
    """The content of every file below a folder, by its relative path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}
