"""The contenders of each kind of problem."""

from typing import Any, Literal

from flows.studies.optimization.block_descent.problems import (
    FORESTS,
    GRAPHS,
    METHOD,
    REFERENCE,
    REGRESSIONS,
    SPARSE,
    SPARSE_STEPS,
    BlockDescentSettings,
)
from kernels.linear_systems.solvers import solve_krylov, solve_self_contained
from kernels.optimization.block_coordinate_descent.fitting import fit
from kernels.optimization.block_coordinate_descent.sparse_descent import forest_descent
from tasks.study import Contender

Role = Literal["method", "baseline", "control"]


def contenders(settings: BlockDescentSettings, problem: str) -> tuple[Contender, ...]:
    """Those that run on a problem; the names of the first two are the same everywhere."""
    if problem in REGRESSIONS:
        return _regression_contenders(settings, problem)
    if problem in GRAPHS:
        return _graph_contenders(settings)
    if problem in FORESTS:
        return _forest_contenders(settings)
    return _sparse_contenders(settings) if problem in SPARSE else _planted_contenders(settings)


def _library(name: str, summary: str, method: str, **options: Any) -> Contender:
    return Contender(name, fit, {"method": method, **options}, summary=summary)


def _regression_contenders(settings: BlockDescentSettings, problem: str) -> tuple[Contender, ...]:
    tolerance = settings.tolerance

    def descent(
        name: str, blocks: str, rule: str, update: str = "gradient", role: Role = "control", stochastic: bool = False
    ) -> Contender:
        options = {"block_size": settings.block_size, "blocks": blocks, "rule": rule, "update": update}
        stop = {"tolerance": tolerance, "max_iterations": settings.steps}
        summary = f"{rule}, {update} update, {blocks} blocks"
        return Contender(
            name,
            fit,
            {"method": "block_coordinate_descent", **options, **stop},
            role,
            stochastic=stochastic,
            summary=summary,
        )

    squared = problem == "least-squares"
    own = {"block_size": settings.method_block_size, "update": "matrix" if squared else "newton"}
    libraries = (
        [_library(REFERENCE, "SciPy's lstsq", "scipy_lstsq", tolerance=tolerance)]
        if squared
        else [
            _library(
                REFERENCE,
                "scikit-learn's Newton-Cholesky",
                "sklearn_logistic",
                solver="newton-cholesky",
                tolerance=tolerance,
            ),
            _library("sklearn-lbfgs", "scikit-learn's logistic regression", "sklearn_logistic", tolerance=tolerance),
            descent("variable-gsd-newton", "variable", "gsd", "newton"),
        ]
    )
    return (
        Contender(
            METHOD,
            fit,
            {"method": "block_coordinate_descent", **own, "tolerance": tolerance, "max_iterations": 20_000},
            "method",
            summary="gsd on variable blocks, to the tolerance",
        ),
        *(
            descent(f"fixed-{rule}", "sort", rule, role="baseline", stochastic=True)
            for rule in ("cyclic", "random", "lipschitz")
        ),
        descent("fixed-gs", "sort", "gs", role="baseline"),
        *(descent(f"fixed-{rule.replace('_', '-')}", "sort", rule) for rule in ("gsl", "gsd", "gsd_rows", "gsq")),
        *(descent(f"fixed-gsl-{blocks}", blocks, "gsl") for blocks in ("order", "average")),
        descent("fixed-gsl-adaptive", "sort", "gsl", "adaptive"),
        *(descent(f"fixed-{rule}-matrix", "sort", rule, "matrix") for rule in ("gsl", "gsq")),
        descent("variable-gs", "variable", "gs", role="baseline"),
        *(descent(f"variable-{rule.replace('_', '-')}", "variable", rule) for rule in ("gsd", "gsd_rows", "gsq")),
        *(descent(f"variable-{rule}-matrix", "variable", rule, "matrix") for rule in ("gs", "gsd", "gsq")),
        *libraries,
        _library("scipy-lbfgs", "SciPy's L-BFGS-B", "scipy_lbfgs", tolerance=tolerance),
    )


def _forest(name: str, blocks: str, summary: str, options: dict[str, Any], role: Role = "control") -> Contender:
    stochastic = blocks == "random_forest"
    return Contender(name, forest_descent, {"blocks": blocks, **options}, role, stochastic=stochastic, summary=summary)


def _linear_contenders(settings: BlockDescentSettings) -> list[Contender]:
    stop = {"tolerance": settings.tolerance, "max_iterations": 20_000}
    direct = {"solver": "sparse_lu", "tolerance": settings.tolerance}
    plain = {"solver": "cg", "preconditioner": "none", **stop}
    multigrid = {"solver": "amg_cg", **stop}
    return [
        _forest(METHOD, "greedy_forest", "greedy forests, to the tolerance", stop, "method"),
        Contender(REFERENCE, solve_self_contained, direct, summary="SciPy's SuperLU"),
        Contender("cg", solve_krylov, plain, summary="conjugate gradients"),
        Contender("amg-cg", solve_self_contained, multigrid, summary="CG preconditioned by PyAMG's multigrid"),
    ]


def _graph_contenders(settings: BlockDescentSettings) -> tuple[Contender, ...]:
    stop = {"tolerance": settings.tolerance, "max_iterations": settings.forest_steps}
    return (
        *_linear_contenders(settings),
        _forest("greedy-forest", "greedy_forest", "a forest by the gradient", stop),
        _forest("random-forest", "random_forest", "a forest at random", stop),
        _forest("tree-partition", "tree_partition", "fixed forests", stop),
        _forest("red-black", "red_black", "a colour", stop, "baseline"),
        _forest("dense-blocks", "dense", "n^(1/3) nodes, solved densely", stop, "baseline"),
    )


def _forest_contenders(settings: BlockDescentSettings) -> tuple[Contender, ...]:
    once = {"tolerance": settings.tolerance, "max_iterations": 1}
    return (
        *_linear_contenders(settings),
        _forest("one-forest", "greedy_forest", "one step, by message passing", once),
        _forest(
            "one-forest-lu", "greedy_forest", "one step, by SuperLU", {**once, "block_solver": "sparse_lu"}, "baseline"
        ),
    )


def _bounded(
    settings: BlockDescentSettings, name: str, update: str, summary: str, role: Role = "control", **options: Any
) -> Contender:
    fixed = {"method": "bounded_block_coordinate_descent", "update": update, "tolerance": settings.tolerance}
    given = {"block_size": settings.sparse_block_size, "max_iterations": SPARSE_STEPS, **options}
    return Contender(name, fit, {**fixed, **given}, role, summary=summary)


def _sparse_contenders(settings: BlockDescentSettings) -> tuple[Contender, ...]:
    tolerance = settings.tolerance
    return (
        _bounded(settings, METHOD, "two_metric", "two-metric projection on variable blocks", "method"),
        _bounded(settings, "exact-blocks", "exact", "each block solved by nnls"),
        _bounded(settings, "fixed-two-metric", "two_metric", "two-metric projection on fixed blocks", blocks="sort"),
        _bounded(settings, "projected-gradient", "projected_gradient", "projected gradient steps", "baseline"),
        _library(REFERENCE, "the normal equations on celer's support", "active_set_reference", tolerance=tolerance),
        _library("celer", "celer, duality gap 1e-12", "celer_lasso", tolerance=tolerance),
        _library("sklearn-lasso", "scikit-learn, duality gap 1e-12", "sklearn_lasso", tolerance=tolerance),
        _library("scipy-lbfgsb", "SciPy's L-BFGS-B", "scipy_lbfgsb", tolerance=tolerance),
    )


def _planted_contenders(settings: BlockDescentSettings) -> tuple[Contender, ...]:
    tolerance = settings.tolerance
    inside = {"start": 1.0, "max_iterations": 20_000}  # from zero most weights never leave their bound
    lsq_linear = {"solver": "lsq_linear", "tolerance": tolerance}
    return (
        _bounded(settings, METHOD, "two_metric", "two-metric projection, all weights 1 first", "method", **inside),
        _bounded(settings, "projected-gradient", "projected_gradient", "all weights 1 first", "baseline", **inside),
        _library(REFERENCE, "SciPy's nnls", "active_set_reference", tolerance=tolerance),
        _library("scipy-lsq-linear", "SciPy's lsq_linear", "scipy_nonnegative", **lsq_linear),
        _library("scipy-lbfgsb", "SciPy's L-BFGS-B", "scipy_lbfgsb", tolerance=tolerance),
    )
