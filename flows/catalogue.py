"""The papers that Assay is to put to the test, and which of them it has."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from flows.registry import find_study, study_families


@dataclass(frozen=True)
class Entry:
    """A paper of the catalogue, or a study beyond it (``listed`` is False); ``works`` says that there is a study."""

    name: str
    family: str
    title: str
    works: bool
    listed: bool = True


@cache
def catalogue() -> tuple[Entry, ...]:
    """All papers and all studies, by family and name."""
    papers: dict[str, dict[str, str]] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))
    studies = study_families()
    entries = [
        Entry(name, family, title, name in studies)
        for family, titles in papers.items()
        for name, title in titles.items()
    ]
    listed = {entry.name for entry in entries}
    entries += [
        Entry(name, family, find_study(name).paper.title, works=True, listed=False)
        for name, family in studies.items()
        if name not in listed
    ]
    return tuple(sorted(entries, key=lambda entry: (entry.family, entry.name)))
