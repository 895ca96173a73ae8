"""Every benchmark runs and prints its table; what it measures is for people to read, never asserted."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.measure import print_table
from benchmarks.scale import FanOut, Ran, Stored, model, options_of
from benchmarks.soak import summary
from kernels.linear_systems.adaptive import ARM_NAMES

ROOT = Path(__file__).parent.parent


def run_benchmark(name, *options):
    """The lines that a benchmark prints; nothing that it started is left, also where it fails."""
    command = [sys.executable, "-m", f"benchmarks.{name}", "--quick", *options]
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True, **output) as process:
        try:
            printed, _ = process.communicate()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, printed
    return printed.splitlines()


def rows(lines):
    """The cells of a table, row by row."""
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]


@pytest.fixture(scope="module")
def kernels_rows():
    return rows(run_benchmark("kernels"))


def test_the_recycling_table_has_four_gains_for_every_family():
    lines = run_benchmark("recycling")
    table = rows(lines)
    families = ["darcy-lognormal", "darcy-published", "darcy-parametric", "helmholtz", "poisson", "thermal"]
    assert [row[0] for row in table if row[1] == "gmres"] == [*families, "convection-diffusion"]
    assert [row[6] for row in table if row[6]] == ["deflation", "recycling", "sorting", "headline"] * 7
    assert "numpy" in lines[0]
    assert "thread" in lines[0]


def test_a_gain_over_a_stopped_gmres_is_marked_as_a_lower_bound():
    table = rows(run_benchmark("recycling", "--families", "helmholtz", "--max-iterations", "300"))
    gains = {row[6]: row[7] for row in table if row[6]}
    assert "unsolved" in table[0][2]
    assert gains["headline"].startswith("≥")
    assert not gains["recycling"].startswith("≥")


def test_recycling_and_starts_are_compared_with_plain_solvers_behind_every_preconditioner():
    lines = run_benchmark("recycling_on_multigrid", "--families", "darcy, 2 parameters", "helmholtz")
    table = rows(lines)
    darcy = ["jacobi", "ic0", "pyamg", "grid multigrid", "own solver", "direct", "one LU for 10 systems"]
    helmholtz = ["ilu0", "grid multigrid", "one LU for 10 systems", "direct"]
    assert [row[0] for row in table if row[0]] == darcy + helmholtz
    assert {row[2] for row in table} >= {"CG", "deflated CG, k=20", "GCRO-DR(40,20)", "BiCGStab", "start: last 40"}
    assert all((".." in row[11]) == row[2].startswith(("deflated", "GCRO", "start")) for row in table)
    summary = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("|")]
    assert ["own solver", "1e-05", "grid multigrid"] in [row[:3] for row in summary]


def test_the_kernels_table_has_a_ratio_for_every_peer(kernels_rows):
    assert {"scipy gmres", "pyamg gmres (mgs)", "scipy gcrotmk, carried", "pyamg.solve"} <= {r[1] for r in kernels_rows}
    assert all(".." in row[8] for row in kernels_rows)


@pytest.mark.parametrize("peer", ["scipy gmres", "pyamg gmres (mgs)", "scipy cg"])
def test_a_peer_of_the_same_algorithm_takes_the_same_iterations(kernels_rows, peer):
    [(ours, theirs)] = [row[4:6] for row in kernels_rows if row[1] == peer]
    assert float(ours) == pytest.approx(float(theirs), rel=0.02)


def test_the_pipeline_table_has_task_runs_memory_and_the_parts_of_the_cost(prefect_api):
    table = dict(row[:2] for row in rows(run_benchmark("pipeline", "--prefect-api", prefect_api)))
    assert int(table["Prefect task runs"]) > 0
    assert int(table["peak memory of the flow process, MiB"]) > 0
    assert float(table["in a worker: write the stores, µs"]) > 0


def test_the_solvers_table_has_ours_and_the_peers_that_are_always_there():
    table = rows(run_benchmark("solvers", "--families", "darcy, log-normal", "helmholtz, absorbing", "darcy, 3-D"))
    solvers = [row[3] for row in table]
    assert [row[0] for row in table if row[0]] == ["darcy, log-normal", "helmholtz, absorbing", "darcy, 3-D"]
    assert solvers.count("auto") == solvers.count("lanes") == solvers.count("SciPy SuperLU") == 3
    assert solvers.count("PyAMG ruge stuben") >= 2
    assert all(row[9] == "0" for row in table if row[3] in {"auto", "lanes", "SciPy SuperLU"})


def test_every_solver_of_the_bandit_is_held_against_its_modelled_cost():
    table = rows(run_benchmark("solver_costs"))
    assert {row[2] for row in table} == set(ARM_NAMES)
    assert all(float(row[4]) > 0 for row in table)


def test_the_table_of_constrained_solvers_has_random_rows_and_exact_factors():
    solvers = {row[2] for row in rows(run_benchmark("constrained"))}
    assert {"Newton, LU", "Newton, Kaczmarz, literal"} <= solvers


@pytest.mark.slow
def test_the_soak_counts_what_every_kind_of_process_holds():
    counted = {(row[0], row[1]): row[-1] for row in rows(run_benchmark("soak"))}
    kinds, measures = ("flow", "server", "workers"), ("memory, MiB", "open files", "threads")
    assert counted.keys() == {*((kind, measure) for kind in kinds for measure in measures), ("all", "temporary files")}
    assert all(float(growth) > 0 for (kind, _), growth in counted.items() if kind != "all")


def test_a_leak_is_seen_in_the_summary_of_a_soak(capsys):
    samples = [{("flow", "open files"): 50.0 + run, ("flow", "threads"): 20.0} for run in range(40)]
    print_table(summary(samples))
    growth = {row[1]: float(row[-1]) for row in rows(capsys.readouterr().out.splitlines())}
    assert growth == {"open files": pytest.approx(84.5 / 64.5, abs=1e-3), "threads": 1.0}


@pytest.mark.slow
def test_the_costs_of_scale_are_measured_and_what_breaks_first_is_named(prefect_api):
    lines = run_benchmark("scale", "--prefect-api", prefect_api)
    measured = {row[1]: row[2] for row in rows(lines) if len(row) == 3}
    assert float(measured["scheduler, processor ms a shard"]) > 0
    assert (int(measured["MLflow rows a run"]) > 0, measured["Prefect task runs"]) == (True, "4")
    assert any(line.startswith("First to break: ") for line in lines)


def test_the_model_of_scale_names_what_is_nearest_to_its_limit():
    fan_out, stored = FanOut(100, 0.5e-3, 0.4e-3, 1e-6, 2e8), Stored(200, 2000, 30_000, 0.01, 0.02)
    ran = [Ran(1000, 245, 4, 4e8), Ran(21_000, 245, 4, 6e8)]
    options = options_of(["--instances", "1000000", "--workers", "100", "--shard-size", "50", "--seconds", "1"])
    table = model([fan_out], [stored], ran, options)
    # 10,000 bytes an instance are 10 GB of 8 GiB
    assert table.caption.startswith("First to break: flow, memory.")
    slow = model([FanOut(100, 1.5, 0.4e-3, 1e-6, 2e8)], [stored], ran, options)
    assert slow.caption.startswith("First to break: scheduler, shards.")
    assert "less than 1.5e+02 s" in slow.caption
