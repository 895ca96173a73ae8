"""The studies, found by their files: studies/<family>/<study>.py defines STUDY."""

from functools import cache
from importlib import import_module
from pathlib import Path

from data.validation import unknown
from tasks.study import Study

_FOLDER = Path(__file__).parent / "studies"


@cache
def study_families() -> dict[str, str]:
    """The family of every study, by study name; imports none of them."""
    return {
        path.stem.replace("_", "-"): path.parent.name
        for path in sorted(_FOLDER.glob("*/*.py"))
        if path.stem != "__init__"
    }


def find_study(name: str) -> Study:
    """The study of a name.

    Raises
    ------
    InputError
        If there is none; the nearest name is suggested.
    """
    families = study_families()
    if name not in families:
        raise unknown("study", name, families)
    study: Study = import_module(f"flows.studies.{families[name]}.{name.replace('-', '_')}").STUDY
    return study
