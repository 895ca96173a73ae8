"""Every study at its default size: minutes each, so only `make test-all` runs them."""

import pytest

from flows.registry import study_families
from flows.study import StudyName, run_study


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", study_families())
def test_a_study_runs_at_its_default_size_and_no_contender_fails(name, make_root, prefect_api, dask_cluster):
    report = run_study(StudyName(name), store=make_root(f"default {name}"), scheduler=dask_cluster)
    assert {row["contender"]: row["failed"] for row in report["contenders"] if row["failed"]} == {}
    assert all(claim["estimate"] is not None for claim in report["claims"])
    method = next(row for row in report["contenders"] if row["role"] == "method")
    assert method["unsolved"] == 0
