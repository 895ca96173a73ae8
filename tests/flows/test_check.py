"""The command that verifies data sets: what it prints and with what status it ends."""

import json

import pytest
from click.testing import CliRunner
from data_sets import darcy, generate

from flows.cli import main


@pytest.fixture
def url(tmp_path):
    generate(darcy(), str(tmp_path / "darcy.zarr"))
    return tmp_path / "darcy.zarr"


def invoke(*arguments):
    return CliRunner().invoke(main, ["check", *map(str, arguments)])


def test_a_good_data_set_ends_with_0_and_a_table(url):
    ended = invoke(url, "--sample", 2)
    assert ended.exit_code == 0, ended.output
    assert "FAILED" not in ended.stdout
    assert "2 of 2 sampled instances" in ended.stdout


def test_a_bad_data_set_ends_with_1_and_names_what_fails(url):
    (url / "solution" / "c" / "1" / "0" / "0").write_bytes(b"nothing")
    ended = invoke(url, "--json")
    assert ended.exit_code == 1, ended.output
    report = json.loads(ended.stdout)
    assert report["passed"] is False
    assert {row["check"] for row in report["checks"] if not row["passed"]} >= {"digests"}
    assert "FAILED" in invoke(url).stdout


@pytest.mark.parametrize("sample", ["0", "-1"])
def test_a_sample_of_nothing_is_refused(url, sample):
    assert invoke(url, "--sample", sample).exit_code == 2


def test_what_is_no_data_set_ends_with_2_in_one_line(tmp_path):
    ended = invoke(tmp_path / "nothing")
    assert ended.exit_code == 2
    assert len(ended.stderr.splitlines()) == 1
    assert "is not a data set of Assay" in ended.stderr
