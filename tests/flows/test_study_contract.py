"""What holds for every study; a new one is found here by its file."""

import itertools
import time

import numpy as np
import pytest
from data_sets import generate
from files import bytes_below
from result_sets import compute_results

from data.validation import InputError
from flows.plan import plan_study, resolve_settings
from flows.registry import find_study, study_families
from flows.study import StudyName, run_study
from kernels.result import Status
from tasks.claims import judge, select_results
from tasks.contenders import status_code
from tasks.results import DISTANCE, TIMINGS, results_url
from tasks.scoring import load_table
from tasks.study import Size

pytestmark = pytest.mark.timeout(400)  # a study's first test runs it twice, and on a new machine compiles its kernels


@pytest.fixture(scope="module", params=list(study_families()))
def study(request):
    return find_study(request.param)


@pytest.fixture(scope="module")
def plan(study, prefect_api, dask_cluster, make_root):
    """The study, run at its small size on two worker processes."""
    root = make_root(study.name)
    plan = plan_study(study, Size.SMALL, {}, root)
    start = time.perf_counter()
    run_study(StudyName(study.name), size=Size.SMALL, store=root, scheduler=dask_cluster)
    print(f"{study.name} at its small size: {time.perf_counter() - start:.1f} s")
    return plan


@pytest.fixture(scope="module")
def tables(plan):
    loaded = {problem: load_table(folder) for problem, folder in plan.folders.items()}
    return {problem: table.drop_dims("step").load() for problem, table in loaded.items()}


def test_a_study_is_found_by_its_name_and_family(study):
    assert study.family == study_families()[study.name]


def test_it_cites_its_paper_and_says_what_it_claims(study):
    assert all([study.summary, study.paper.title, study.paper.authors, study.paper.venue, study.paper.claim])


@pytest.mark.parametrize("size", list(Size))
def test_its_sizes_are_valid_and_its_parts_fit_together(study, size):
    settings = resolve_settings(study, size, {})
    names = set(study.problems(settings))
    claims = study.claims(settings)
    assert {name for claim in claims for name in claim.problems} <= names
    assert len({(claim.where, claim.name) for claim in claims}) == len(claims)
    assert all(claim.statement and claim.source for claim in claims)
    for problem in names:
        contenders = study.contenders(settings, problem)
        labels = [contender.name for contender in contenders]
        assert len(set(labels)) == len(labels)
        assert set(study.headline) <= set(labels)
        assert study.agreement(settings).reference in labels
        assert [c.name for c in contenders if c.role == "method"] == [study.headline[0]]
        assert any(contender.role == "baseline" for contender in contenders)


def test_a_setting_it_does_not_have_is_refused(study):
    with pytest.raises(InputError, match="no_such_setting"):
        resolve_settings(study, Size.SMALL, {"no_such_setting": 1})


def test_two_workers_leave_the_same_bytes_as_this_process(plan, study, tmp_path):
    alone = plan_study(study, Size.SMALL, {}, str(tmp_path))
    for problem, results in alone.result_sets.items():
        data_url, folder = alone.data_url(problem), alone.folders[problem]
        generate(results.data_set, data_url)
        compute_results(results, data_url, folder)
        assert differing(data_url, plan.data_url(problem)) == []
        assert differing(results_url(folder), results_url(plan.folders[problem])) == []


def differing(url, other):
    """The files that differ; their bytes would take pytest minutes to compare."""
    first, second = bytes_below(url), bytes_below(other)
    return sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))


def test_contenders_that_converged_agree_with_the_reference(plan, study, tables):
    agreement = study.agreement(plan.settings)
    for problem, table in tables.items():
        converged = table["status"] == status_code(Status.CONVERGED)
        assert converged.sel(contender=agreement.reference).all(), problem
        distances = table[DISTANCE].where(converged)
        assert float(distances.max()) <= agreement.tolerance, (problem, distances.max("instance").to_series())


def test_the_method_solves_its_small_problems(study, tables):
    for problem, table in tables.items():
        assert (table["status"].sel(contender=study.headline[0]) == status_code(Status.CONVERGED)).all(), problem


def test_every_metric_is_measured(study, tables):
    for problem, table in tables.items():
        for metric in study.metrics:
            assert np.isfinite(table[metric.name].sel(contender=study.headline[0])).all(), (problem, metric.name)


def test_every_claim_can_come_out_either_way(plan, study, tables):
    for claim in study.claims(plan.settings):
        with np.errstate(all="ignore"):  # logarithms of what is doctored to be negative
            verdicts = {judge(claim, doctored, list(TIMINGS)).verdict for doctored in doctored_tables(claim, tables)}
        assert {"holds", "fails"} <= verdicts, (claim.where, claim.name, verdicts)


def doctored_tables(claim, tables):
    """The results with what the claim reads made far larger or smaller, for one contender at a time."""
    table = select_results(claim, tables)
    variables = [name for name in table.data_vars if needs(claim, table.drop_vars(name))]
    contenders = [name for name in table["contender"].values.tolist() if needs(claim, table.drop_sel(contender=name))]
    for variable, contender, factor in itertools.product(variables, contenders, (1e-12, 1e12)):
        doctored = table["contender"] == contender
        if "problem" in table.dims:  # growth from problem to problem shows only where one of them changes
            doctored = doctored & (table["problem"] == table["problem"][-1])
        yield table.assign({variable: table[variable] * (1 + (factor - 1) * doctored)})
        # zeros stay zeros, and differences scatter: so also one value for all
        yield table.assign({variable: table[variable].where(~doctored, factor if factor > 1 else -1 / factor)})


def needs(claim, rest):
    """Whether a claim cannot be measured on what is left of the results."""
    try:
        claim.statistic(rest)
    except KeyError:
        return True
    return False
