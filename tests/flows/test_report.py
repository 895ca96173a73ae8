import re
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner

from flows.campaign import run_campaign
from flows.cli import main
from flows.registry import find_study
from flows.report import MARK, render
from flows.study import StudyName
from tasks.study import Size

NAME = "compensated-summation"


@pytest.fixture(scope="module")
def root(prefect_api, dask_cluster, make_root):
    """A store with two campaigns."""
    root = make_root("report")
    for _ in range(2):
        run_campaign([StudyName(NAME)], size=Size.SMALL, store=root, scheduler=dask_cluster)
    return root


@pytest.fixture(scope="module")
def folder(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    assert run("--to", folder / "page.html", "--store", root).exit_code == 0
    return folder


def run(*arguments):
    return CliRunner().invoke(main, ["report", "--size", "small", *map(str, arguments)])


class References(HTMLParser):
    """All that a page loads or leads to, and whether its tags are balanced."""

    def __init__(self, page):
        super().__init__()
        self.open, self.references = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        if tag not in {"meta", "img", "br", "link"}:
            self.open.append(tag)
        self.references += [value for name, value in attributes if name in {"src", "href", "srcset"}]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_needs_no_other_file(folder):
    page = (folder / "page.html").read_text()
    parsed = References(page)
    assert parsed.open == []
    assert parsed.references
    assert all(reference.startswith("data:image/png;base64,") for reference in parsed.references)
    assert "@import" not in page
    assert "url(" not in page
    assert "<script" not in page
    assert 'name="viewport"' in page


@pytest.mark.parametrize("name", ["page.html", "page.md"])
def test_it_shows_every_claim_with_its_interval_and_verdict(folder, name):
    page = (folder / name).read_text()
    study = find_study(NAME)
    claims = study.claims(study.settings(**study.sizes[Size.SMALL]))
    assert study.paper.title in page
    assert "0 verdicts changed since the last campaign" in page
    assert re.search(r"assay reproduce [0-9a-f]{32}", page)
    for claim in claims:
        assert claim.statement.replace("'", "&#39;" if name.endswith("html") else "'") in page
    assert len(re.findall(r"\d \([-\d.e+]+ to [-\d.e+]+\)", page)) >= len(
        study.claims(study.settings(**study.sizes[Size.SMALL]))
    )


def test_a_report_is_replaced_and_other_files_are_not(folder, root):
    assert MARK in (folder / "page.md").read_text()
    assert run("--to", folder / "page.html", "--store", root).exit_code == 0
    thesis = folder / "thesis.html"
    thesis.write_text("years of work")
    refused = run("--to", thesis, "--store", root)
    assert (refused.exit_code, thesis.read_text()) == (2, "years of work")
    assert "is no report" in refused.output
    assert not (folder / "thesis.md").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--to", "page.pdf"], "must end in .html"), (["--size", "large"], "no campaign of size large")],
)
def test_what_cannot_be_written_is_said_in_one_line(root, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    refused = run(*arguments, "--store", root)
    assert refused.exit_code == 2
    assert message in refused.output
    assert list(tmp_path.iterdir()) == []


def test_what_a_study_says_is_escaped():
    study = find_study(NAME)
    claim = {
        "statement": "<script>alert(1)</script>", "problem": "a & b", "role": "paper", "interval": "1 (0 to 2)",
        "comparison": "<=", "threshold": 1.0, "verdict": "holds", "before": "fails",
    }  # fmt: skip
    section = {
        "study": study, "claims": [claim], "tally": "", "in_plain_words": [], "figures": {}, "run_id": "0", "link": "",
    }  # fmt: skip
    campaign = {
        "mark": MARK, "size": "small", "ended": "", "machine": "", "commit": "", "tally": "", "link": "", "run_id": "0",
        "compared_with_last": True, "changes": {}, "regressions": ["a <b>"], "sections": [section],
    }  # fmt: skip
    page = render("report.html", campaign)
    assert "<script>" not in page
    assert "a &amp; b" in page
    assert "a &lt;b&gt;" in page
    assert "(was: fails)" in page
