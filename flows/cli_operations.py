"""The commands around the runs: servers and forms, pages and reports."""

import sys

import click

from flows.cli_options import json_option, print_document, quiet, size_of, size_option, store_option

prefect_port_option = click.option(
    "--prefect-port", type=click.IntRange(1, 65535), default=4200, show_default=True, help="Of the Prefect UI."
)
mlflow_port_option = click.option(
    "--mlflow-port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Of the MLflow UI."
)


@click.command()
@prefect_port_option
@mlflow_port_option
@store_option
def up(prefect_port: int, mlflow_port: int, store: str) -> None:
    """Start the Prefect server, a worker with the deployments and the MLflow UI, all on 127.0.0.1.

    Ctrl-C stops all of them.
    """
    quiet(False)
    from flows.plan import store_root
    from flows.services import serve

    serve(store_root(store), prefect_port, mlflow_port)


@click.command()
@click.argument("studies", nargs=-1)
@click.option("--to", "folder", default="docs", show_default=True, help="Folder of the pages.")
@store_option
@json_option
def publish(studies: tuple[str, ...], folder: str, store: str, as_json: bool) -> None:
    """Write the pages of studies from their last runs at the default size, and the catalogue.

    Without STUDIES: of all that have such a run in the store.
    """
    quiet(False)
    from flows.publish import publish_studies

    report = publish_studies(studies, store, folder)
    print_document(report, as_json, lambda report: click.echo("\n".join(report["written"])))


@click.command()
@size_option
@click.option("--to", default="assay-report.html", metavar="FILE", show_default=True, help="The page.")
@store_option
@json_option
def report(size: str, to: str, store: str, as_json: bool) -> None:
    """Write the last campaign of a size as one page that needs no other file, and as Markdown beside it."""
    quiet(False)
    chosen = size_of(size)
    from flows.report import write_report

    print_document(write_report(store, chosen, to), as_json, lambda written: click.echo("\n".join(written["pages"])))


@click.command()
@click.argument("before", metavar="RUN_A")
@click.argument("after", metavar="RUN_B")
@store_option
@json_option
def compare(before: str, after: str, store: str, as_json: bool) -> None:
    """Say what changed from one run of a study to another: settings, code, data, verdicts, numbers, times.

    RUN_A and RUN_B are MLflow runs that `assay run` prints.
    """
    quiet(False)
    from flows import output
    from flows.compare import compare_runs

    print_document(compare_runs(before, after, store), as_json, output.print_changes)


@click.command()
@click.option("--dry-run", is_flag=True, help="Only list; delete nothing.")
@click.option(
    "--older-than",
    type=click.FloatRange(min=0),
    default=7.0,
    show_default=True,
    metavar="DAYS",
    help="Since they were last written; younger stores stay.",
)
@store_option
@json_option
def gc(dry_run: bool, older_than: float, store: str, as_json: bool) -> None:
    """Delete the stores that no run in MLflow refers to, and list the runs whose stores are gone."""
    quiet(False)
    from flows import output
    from flows.housekeeping import collect_garbage

    print_document(collect_garbage(store, older_than, dry_run=dry_run), as_json, output.print_garbage)


@click.command()
@click.option("--scheduler", default="local", metavar="ADDRESS", help="A running Dask scheduler to look at too.")
@prefect_port_option
@mlflow_port_option
@store_option
@json_option
def doctor(scheduler: str, prefect_port: int, mlflow_port: int, store: str, as_json: bool) -> None:
    """Check versions, servers, databases, ports, disk and cores, and say how to mend them (exit status 1 if bad)."""
    quiet(False)
    from flows import output
    from flows.doctor import examine

    examined = examine(store, scheduler, {"--prefect-port": prefect_port, "--mlflow-port": mlflow_port})
    print_document(examined, as_json, output.print_findings)
    if not examined["healthy"]:
        sys.exit(1)
