"""Every benchmark runs and prints its table; what it measures is for people to read, never asserted."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

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
