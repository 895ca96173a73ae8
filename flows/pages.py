"""The pages of docs/studies and docs/catalogue.md, made from the studies and the reports of their published runs."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from flows.catalogue import Entry, catalogue
from flows.registry import study_families
from tasks.scoring import tally
from tasks.study import Study

Report = Mapping[str, Any]
_NOTICE = "<!-- made by `assay publish`; edit the study, not this file -->"


def load_reports(folder: Path) -> dict[str, Report]:
    """The published reports below the folder of the pages, by study."""
    return {
        path.stem: json.loads(path.read_text())
        for path in sorted(folder.glob("*.json"))
        if path.stem in study_families()
    }


def study_page(study: Study, report: Report) -> str:
    """The half-page of a study: paper, method, measured verdict, figure, how to run it, what surprised us."""
    paper = study.paper
    sections = [
        _NOTICE,
        f"# {study.name}",
        f"{paper.authors}: *{paper.title}*, {paper.venue}.",
        f"**Question.** {study.summary}",
        f"**Claim.** {paper.claim}.",
        *([f"**Method.** {study.method}"] if study.method else []),
        f"**Verdict.** {tally_of_claims(report['claims'])}, at size {report['size']}: {_circumstances(report)}.",
        _claims_table(report["claims"]),
        *([" ".join(report["in_plain_words"])] if report["in_plain_words"] else []),
        *([f"![the paper's main plot at this scale]({study.name}.png)"] if study.figure else []),
        f"**Run it.**\n\n    assay run {study.name}\n    assay show {study.name}",
        *([f"**What surprised us.** {study.surprises}"] if study.surprises else []),
    ]
    return "\n\n".join(sections) + "\n"


def catalogue_page(reports: Mapping[str, Report]) -> str:
    """All papers of the catalogue with their state."""
    entries = catalogue()
    papers = [entry for entry in entries if entry.listed]
    done, beyond = sum(entry.works for entry in papers), len(entries) - len(papers)
    rows = [f"| {e.family} | {_linked(e, reports)} | {e.title} | {_state(e, reports)} |" for e in entries]
    return "\n".join(
        [
            _NOTICE,
            "",
            "# Catalogue",
            "",
            f"{len(papers)} papers, {done} of them with a study, and {beyond} studies beyond them. Verdicts are "
            "those of published runs at the default size.",
            "",
            "| family | study | paper | state |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def _linked(entry: Entry, reports: Mapping[str, Report]) -> str:
    return f"[{entry.name}](studies/{entry.name}.md)" if entry.name in reports else entry.name


def _state(entry: Entry, reports: Mapping[str, Report]) -> str:
    if entry.name in reports:
        return f"works: {tally_of_claims(reports[entry.name]['claims'])}"
    return "works" if entry.works else "not yet"


def tally_of_claims(claims: Iterable[Mapping[str, Any]]) -> str:
    """How many claims there are, and how many hold, fail and are inconclusive."""
    found = [claim["verdict"] for claim in claims]
    return f"of {len(found)} claims {tally(found)}"


def _circumstances(report: Report) -> str:
    machine, environment = report["machine"], report["environment"]
    return f"{machine['machine']}, Python {environment['python']}, commit {environment['git_commit'][:12]}"


def _claims_table(claims: Iterable[Mapping[str, Any]]) -> str:
    lines = ["| claim | on | role | estimate (95 %) | threshold | verdict |", "| --- | --- | --- | --- | --- | --- |"]
    for claim in claims:
        limit = f"{claim['comparison']} {claim['threshold']:.4g}"
        cells = [f"**{claim['name']}**: {claim['statement']}", claim["problem"], claim["role"], interval(claim), limit]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in [*cells, claim["verdict"]]) + " |")
    return "\n".join(lines)


def interval(claim: Mapping[str, Any]) -> str:
    """A claim's estimate with its confidence interval."""
    return f"{_number(claim['estimate'])} ({_number(claim['lower'])} to {_number(claim['upper'])})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
