"""The command line. Everything heavy is imported inside the commands, so that --help and errors are immediate."""

import sys
import tempfile
from collections.abc import Callable
from typing import Any

import click

from flows.cli_operations import compare, doctor, gc, publish, report, up
from flows.cli_options import (
    Group,
    json_option,
    limit_options,
    print_document,
    quiet,
    run_options,
    set_option,
    settings_of,
    size_of,
    size_option,
    store_option,
)


def shard_option(metavar: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option to compute one shard alone."""
    return click.option(
        "--shard", default="", metavar=metavar,
        help="Compute this shard alone, here, and write nothing: to look into a failure (exit status 1 if it fails).",
    )  # fmt: skip


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True)
@click.version_option(package_name="assay")
def main() -> None:
    """Put published numerical algorithms to the test.

    \b
    assay list                          what there is
    assay show skr                      a paper, its problems, contenders and claims
    assay run skr --size small          run it: data, contenders, verdicts, MLflow
    assay generate darcy-lognormal --count 1000 --set grid=64
    assay check URL                     a data set, verified as its reader would
    assay solve systems.npz             your own sequence of linear systems
    assay compare RUN_A RUN_B           what changed from one run to another
    assay report                        the last campaign as one page
    assay publish                       pages of what was run, for docs/
    assay up                            servers, schedules and forms in a browser
    assay gc --dry-run                  stores that no run refers to
    assay doctor                        what is wrong with the installation

    Exit status: 0 it ran; 1 a claim does not hold (--strict), a campaign
    regressed, numbers differ (reproduce), a data set is not as it says (check),
    something is bad (doctor) or a shard cannot be computed; 2 bad input, in one
    line; 130 interrupted: the same command resumes.
    """  # noqa: D301 - click's mark for lines that are not to be wrapped


@main.command("list")
@click.option("--family", default="", help="Only the studies of one family.")
@click.option("--problems", "show_problems", is_flag=True, help="List the problems that `assay generate` knows.")
@store_option
@json_option
def list_command(family: str, show_problems: bool, store: str, as_json: bool) -> None:
    """List the studies with their family, paper and last verdicts."""
    quiet(False)
    from flows import listing, output

    if show_problems:
        print_document(listing.list_problems(), as_json, output.print_problems)
    else:
        print_document(listing.list_studies(family, store), as_json, output.print_studies)


@main.command()
@click.argument("study")
@size_option
@set_option
@click.option("--dry-run", is_flag=True, help="Also say what a run would compute and what is there already.")
@store_option
@json_option
def show(study: str, size: str, assignments: tuple[str, ...], dry_run: bool, store: str, as_json: bool) -> None:
    """Show a study: paper, problems and settings, contenders, claims."""
    quiet(False)
    from flows import listing, output

    description = listing.describe_study(study, size_of(size), settings_of(assignments), store, dry_run=dry_run)
    print_document(description, as_json, output.print_study)


@main.command()
@click.argument("study")
@size_option
@set_option
@click.option(
    "--plan", "plan_only", is_flag=True, help="Say what would be computed and what is there; compute nothing."
)
@click.option("--fresh", is_flag=True, help="Run the contenders again, beside results that exist.")
@click.option("--repair", is_flag=True, help="Check all stored shards and compute damaged ones again.")
@click.option("--strict", is_flag=True, help="Exit with 1 unless every claim holds.")
@shard_option("PROBLEM:N")
@limit_options
@run_options
def run(
    study: str, size: str, assignments: tuple[str, ...], plan_only: bool, fresh: bool, repair: bool, strict: bool,
    shard: str, time_limit: float, memory_limit: float | None, scheduler: str, workers: int | None, verbose: bool,
    store: str, as_json: bool,
) -> None:  # fmt: skip
    """Run a study: generate its problems, solve them with all contenders, judge its claims.

    What exists is reused; what was interrupted is resumed.
    """
    quiet(verbose)
    from flows import output
    from flows.plan import plan_study, store_root
    from flows.registry import find_study

    settings = settings_of(assignments)
    root = store_root(store)
    plan = plan_study(find_study(study), size_of(size), settings, root, fresh=fresh)
    if plan_only:
        print_document([item.as_dict() for item in plan.stores()], as_json, output.print_plan)
        return
    if shard:
        from flows.shard import limits_alone, show_shard, study_shard

        show_shard(study_shard(plan, shard), limits_alone(time_limit, memory_limit, workers), as_json=as_json)
        return
    from flows.session import computing

    with computing(root, scheduler, workers) as address:
        from flows.study import StudyName, run_study

        report = run_study(
            StudyName(study), plan.size, settings, root, address(), workers,
            fresh=fresh, repair=repair, time_limit=time_limit, memory_limit=memory_limit,
        )  # fmt: skip
    print_document(report, as_json, output.print_report)
    if strict and any(claim["verdict"] != "holds" for claim in report["claims"]):
        sys.exit(1)


@main.command()
@click.argument("problem")
@click.option("--count", type=int, default=100, show_default=True, help="Number of instances to train on.")
@click.option("--valid", type=int, default=0, show_default=True, help="Further instances for validation.")
@click.option("--test", type=int, default=0, show_default=True, help="Further instances for testing.")
@set_option
@click.option("--solver", default="auto", show_default=True, help="What solves the systems.")
@click.option("--preconditioner", default="jacobi", show_default=True, help="Of the Krylov solvers.")
@click.option("--tolerance", type=float, default=1e-8, show_default=True, help="On the true relative residual.")
@click.option("--sampling", default="monte-carlo", show_default=True, help="monte-carlo, sobol or lattice.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of all random draws.")
@click.option("--shard-size", type=int, default=50, show_default=True, help="Instances per unit of work and storage.")
@click.option("--dtype", default="float64", show_default=True, help="Type of the stored fields: float64 or float32.")
@click.option("--solution-bits", type=int, metavar="N", help="Round solutions to N mantissa bits [all].")
@click.option("--parameter-bits", type=int, metavar="N", help="Round parameters to N mantissa bits [all].")
@click.option("--level", type=int, default=0, help="Of the zstd compression, -7 to 22 [its default].")
@click.option("--chunk", type=int, metavar="N", help="Instances read at once [as many as fit in 4 MiB].")
@click.option("--out", default="", metavar="URL", help="The data set itself [below the store, named by its digest].")
@click.option(
    "--plan", "plan_only", is_flag=True, help="Say what would be computed, how large and how long; write nothing."
)
@click.option("--repair", is_flag=True, help="Check all stored shards and compute damaged ones again.")
@shard_option("[SPLIT:]N")
@limit_options
@run_options
def generate(
    problem: str, assignments: tuple[str, ...], plan_only: bool, repair: bool,
    shard: str, time_limit: float, memory_limit: float | None,
    scheduler: str, workers: int | None, verbose: bool, store: str, as_json: bool, **request: Any,
) -> None:  # fmt: skip
    """Generate a data set: instances of a problem with their solutions, in Zarr.

    The settings are the problem's parameters; `assay list --problems` shows them. Instances for validation and testing
    share no random numbers with those to train on; with --out the data sets lie below it, named train, valid and test.
    """
    quiet(verbose)
    from flows import output
    from flows.data_set_plan import plan_data_sets
    from flows.estimate import FEWEST_TO_SAMPLE, estimates
    from flows.plan import store_root

    root = store_root(store)
    plans = plan_data_sets(problem=problem, settings=settings_of(assignments), root=root, **request)
    if plan_only:
        print_document(estimates(plans, workers), as_json, output.print_plan)
        return
    if shard:
        from flows.shard import data_set_shard, limits_alone, show_shard

        show_shard(data_set_shard(plans, shard), limits_alone(time_limit, memory_limit, workers), as_json=as_json)
        return
    for plan in plans:
        plan.require_usable_place()
    from flows.session import computing

    with computing(root, scheduler, workers) as address:
        if not as_json:
            output.print_plan(estimates(plans, workers, FEWEST_TO_SAMPLE))
        from flows.generate import generate_data_set

        report = generate_data_set(
            **plans[0].request, store=root, scheduler=address(), workers=workers, repair=repair,
            time_limit=time_limit, memory_limit=memory_limit,
        )  # fmt: skip
    print_document(report, as_json, output.print_report)


@main.command()
@click.option("--family", default="", help="Only the studies of one family.")
@click.option("--studies", default="", metavar="A,B", help="Only these studies, separated by commas.")
@size_option
@click.option("--fresh", is_flag=True, help="Run the contenders again, beside results that exist.")
@click.option("--strict", is_flag=True, help="Exit with 1 unless every claim holds.")
@limit_options
@run_options
def campaign(
    family: str, studies: str, size: str, fresh: bool, strict: bool,
    time_limit: float, memory_limit: float | None, scheduler: str, workers: int | None, verbose: bool, store: str,
    as_json: bool,
) -> None:  # fmt: skip
    """Run many studies and say what changed since the last campaign of this size (exit status 1 if for the worse)."""
    quiet(verbose)
    from data.validation import unknown
    from flows import output
    from flows.plan import store_root
    from flows.registry import find_study, study_families
    from flows.session import computing

    names = [name.strip() for name in studies.split(",") if name.strip()]
    for name in names:
        find_study(name)
    if family and family not in study_families().values():
        raise unknown("family", family, set(study_families().values()))
    chosen_size = size_of(size)
    root = store_root(store)
    with computing(root, scheduler, workers) as address:
        from flows.campaign import FamilyName, RegressionError, run_campaign
        from flows.study import StudyName

        chosen = [StudyName(name) for name in names]
        try:
            summary = run_campaign(
                chosen, FamilyName(family) if family else None, chosen_size, root, address(), workers,
                fresh=fresh, time_limit=time_limit, memory_limit=memory_limit,
            )  # fmt: skip
        except RegressionError as regression:
            summary = regression.summary
    print_document(summary, as_json, output.print_campaign)
    if summary["regressions"] or (strict and any(verdict != "holds" for verdict in summary["verdicts"].values())):
        sys.exit(1)


@main.command()
@click.argument("run_id")
@run_options
def reproduce(run_id: str, scheduler: str, workers: int | None, verbose: bool, store: str, as_json: bool) -> None:
    """Run a logged study again from the start and say whether the numbers agree (exit status 1 if not).

    RUN_ID is the MLflow run that `assay run` prints. Times are not compared.
    """
    quiet(verbose)
    from flows import output
    from flows.plan import store_root
    from flows.reproduce import logged_request, reproduce_run
    from flows.session import computing

    root = store_root(store)
    logged_request(root, run_id)
    with (
        tempfile.TemporaryDirectory(prefix="assay-reproduce-") as scratch,
        computing(root, scheduler, workers) as address,
    ):
        comparison = reproduce_run(root, run_id, scratch, address())
    print_document(comparison, as_json, output.print_comparison)
    if not comparison["agrees"]:
        sys.exit(1)


@main.command()
@click.argument("url")
@click.option("--sample", type=int, default=16, show_default=True, help="Instances whose residuals are computed again.")
@json_option
def check(url: str, sample: int, as_json: bool) -> None:
    """Verify a data set as its consumer would (exit status 1 if a check fails, 2 if URL is no finished data set).

    All arrays are read: digests, shapes, NaN, duplicates, statistics. Of a sample, the parameters are generated again
    and the residuals computed from the stored solutions.
    """
    quiet(False)
    from flows import check as checking

    report = checking.check(url, sample)
    print_document(report, as_json, checking.print_checks)
    if not report["passed"]:
        sys.exit(1)


@main.command()
@click.argument("systems")
@click.option("--solver", default="", help="What solves the systems [one that takes any matrix].")
@click.option("--preconditioner", default="", help="Of the Krylov solvers [an incomplete LU factorisation].")
@click.option("--tolerance", type=float, default=1e-8, show_default=True, help="On the true relative residual.")
@click.option("--shard-size", type=int, default=50, show_default=True, help="Systems per unit of work and storage.")
@click.option("--out", default="", metavar="URL", help="The solutions [below the store, named by their digest].")
@click.option(
    "--plan", "plan_only", is_flag=True, help="Say what would be computed and what is there; compute nothing."
)
@click.option("--repair", is_flag=True, help="Check all stored shards and compute damaged ones again.")
@shard_option("N")
@limit_options
@run_options
def solve(
    systems: str, solver: str, preconditioner: str, tolerance: float, shard_size: int, out: str, plan_only: bool,
    repair: bool, shard: str, time_limit: float, memory_limit: float | None, scheduler: str, workers: int | None,
    verbose: bool, store: str, as_json: bool,
) -> None:  # fmt: skip
    """Solve your own sequence of sparse systems of one pattern; bad ones are named and the rest goes on.

    SYSTEMS is an .npz file or a Zarr group (stacked CSR arrays data, indices, indptr, rhs), a folder of Matrix Market
    files (NAME.mtx with NAME_rhs.mtx), or a function that yields pairs (A, b): module:function or file.py:function.
    """
    quiet(verbose)
    from flows import output
    from flows.plan import store_root
    from flows.solve_plan import plan_solutions

    root = store_root(store)
    plan = plan_solutions(
        systems=systems, solver=solver, preconditioner=preconditioner, tolerance=tolerance, shard_size=shard_size,
        root=root, out=out,
    )  # fmt: skip
    if plan_only:
        print_document([plan.store().as_dict()], as_json, output.print_plan)
        return
    if shard:
        from flows.shard import data_set_shard, limits_alone, show_shard

        show_shard(data_set_shard([plan], shard), limits_alone(time_limit, memory_limit, workers), as_json=as_json)
        return
    plan.require_usable_place()
    from flows.session import computing

    with computing(root, scheduler, workers) as address:
        from flows.solve import solve_systems

        report = solve_systems(
            **plan.request, store=root, scheduler=address(), workers=workers, repair=repair,
            time_limit=time_limit, memory_limit=memory_limit,
        )  # fmt: skip
    print_document(report, as_json, output.print_report)


for command in (compare, publish, report, up, gc, doctor):
    main.add_command(command)
