import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.catalogue import catalogue
from flows.cli import main
from flows.pages import catalogue_page, load_reports, study_page
from flows.publish import publish_studies
from flows.registry import find_study
from flows.study import StudyName, run_study
from tasks.study import Size

DOCS = Path(__file__).parents[2] / "docs"
NAME = "compensated-summation"


@pytest.fixture(scope="module")
def root(prefect_api, dask_cluster, make_root):
    """A store with a default run of one study, and later runs that are none: another size, another setting."""
    root = make_root("publish")
    for size, settings in ((Size.DEFAULT, {}), (Size.SMALL, {}), (Size.DEFAULT, {"instances": 8})):
        run_study(StudyName(NAME), size, settings, root, dask_cluster)
    return root


@pytest.fixture(scope="module")
def folder(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    publish_studies([], root, str(folder))
    return folder


def test_the_pages_of_what_was_run_are_written(folder):
    assert {path.name for path in (folder / "studies").iterdir()} == {f"{NAME}.json", f"{NAME}.md"}
    assert (folder / "catalogue.md").exists()


def test_a_page_has_every_claim_of_the_last_run_at_the_default_size(folder):
    report = json.loads((folder / "studies" / f"{NAME}.json").read_text())
    page = (folder / "studies" / f"{NAME}.md").read_text()
    assert (report["size"], report["settings"]) == ("default", {})
    assert all(claim["statement"] in page for claim in report["claims"])
    assert find_study(NAME).paper.title in page


def test_the_catalogue_has_every_paper_once_and_links_what_is_published(folder):
    page = (folder / "catalogue.md").read_text()
    assert page.count("| not yet |") == sum(not entry.works for entry in catalogue())
    assert f"[{NAME}](studies/{NAME}.md)" in page
    assert "| [skr]" not in page


def test_the_catalogue_has_171_papers():
    assert sum(entry.listed for entry in catalogue()) == 171


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["no-such-study"], "unknown study"), (["skr"], "no run of skr at the default size")],
)
def test_what_was_not_run_is_refused_in_one_line(root, tmp_path, arguments, message):
    result = CliRunner().invoke(main, ["publish", *arguments, "--store", root, "--to", str(tmp_path / "pages")])
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "pages").exists()


def test_the_pages_in_docs_are_those_of_the_studies_and_their_published_reports():
    reports = load_reports(DOCS / "studies")
    for name, report in reports.items():
        assert (DOCS / "studies" / f"{name}.md").read_text() == study_page(find_study(name), report), name
    assert (DOCS / "catalogue.md").read_text() == catalogue_page(reports)
