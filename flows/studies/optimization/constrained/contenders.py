"""The contenders of each kind of problem."""

from typing import Any, Literal

from flows.studies.optimization.constrained.problems import (
    ACCURACIES,
    CONTROLS,
    EXACT,
    GAUSSIAN,
    GAUSSIAN_PRACTICAL,
    LEAST_CURVATURE,
    LOGISTIC,
    METHOD,
    MINRES,
    PENALTY,
    PRACTICAL,
    REFERENCE,
    SHARPENED,
    ConstrainedSettings,
)
from kernels.optimization.constrained.library_baselines import classical_augmented_lagrangian, slsqp, trust_constr
from kernels.optimization.constrained.penalty_sqp import l1_penalty_sqp
from kernels.optimization.constrained.sketched_newton import adasketch_newton
from tasks.study import Contender

Role = Literal["method", "baseline", "control"]


def contenders(settings: ConstrainedSettings, problem: str) -> tuple[Contender, ...]:
    """Those that run on a problem; Gaussian sketches, which cannot use sparsity, sit out control problems."""
    curvature = {"least_curvature": LEAST_CURVATURE.get(problem, 1e-6)}
    common = {**curvature, "tolerance": settings.tolerance, "max_iterations": settings.max_iterations}
    cap = settings.long_inner_steps if problem in CONTROLS else settings.most_inner_steps

    def sketched(name: str, summary: str, role: Role = "control", **options: Any) -> Contender:
        given = {**common, "most_inner_steps": cap, **options}
        return Contender(name, adasketch_newton, given, role, stochastic=True, summary=summary)

    def newton(name: str, solver: str, summary: str, **options: Any) -> Contender:
        given = {**common, "solver": solver, "constants": "practical", **options}
        return Contender(name, adasketch_newton, given, summary=summary)

    stop = {"tolerance": settings.tolerance}
    everywhere = (
        sketched(METHOD, "random rows, the published constants", "method"),
        sketched(PRACTICAL, "random rows, accuracy only as descent needs it", constants="practical"),
        newton(EXACT, "lu", "the same outer loop, systems solved by LU"),
        newton(MINRES, "minres", "the same outer loop, SciPy's MINRES to the practical accuracy"),
        Contender(PENALTY, l1_penalty_sqp, common, summary="inexact SQP on an l1 penalty, SciPy's GMRES"),
        Contender(
            "augmented-lagrangian",
            classical_augmented_lagrangian,
            stop,
            summary="method of multipliers, SciPy's truncated Newton inside",
        ),
        Contender("trust-constr", trust_constr, stop, summary="SciPy's, exact second derivatives"),
        Contender("slsqp", slsqp, stop, summary="SciPy's, quasi-Newton"),
        newton(REFERENCE, "lu", "systems solved by LU, to the last digits", tolerance=settings.rate_tolerance),
    )
    if problem in CONTROLS:
        return everywhere
    gaussian = (
        sketched(GAUSSIAN, "Gaussian sketches, the published constants", solver="gaussian"),
        sketched(GAUSSIAN_PRACTICAL, "Gaussian sketches, practical", solver="gaussian", constants="practical"),
    )
    if problem != LOGISTIC:
        return (*everywhere, *gaussian)
    precise: dict[str, Any] = {
        "constants": "practical",
        "tolerance": settings.rate_tolerance,
        "most_inner_steps": settings.long_inner_steps,
    }
    return (
        *everywhere,
        *gaussian,
        *(
            sketched(name, f"practical, relative residual {accuracy:g}", accuracy=accuracy, **precise)
            for name, accuracy in ACCURACIES.items()
        ),
        sketched(SHARPENED, "practical, accuracy sharpened with the KKT residual", sharpening="residual", **precise),
    )
