"""The claims of the study."""

from functools import partial
from typing import Literal

from flows.studies.optimization.constrained.problems import (
    ACCURACIES,
    COMPARED,
    CONTROLS,
    EXACT,
    GAUSSIAN,
    GAUSSIAN_PRACTICAL,
    LOGISTIC,
    METHOD,
    MINRES,
    PENALTY,
    PRACTICAL,
    SHARPENED,
    SMALL_PROBLEMS,
    ConstrainedSettings,
    control_sides,
)
from flows.studies.optimization.constrained.statistics import (
    faster_growth,
    flops_per_step_ratio,
    median,
    more_unsolved,
    relative_rate,
)
from tasks.claims import Claim, mean_of, ratio, share_above

GROUPS: tuple[str | tuple[str, ...], ...] = (SMALL_PROBLEMS, LOGISTIC, CONTROLS)
RATE_BOUNDS: tuple[tuple[str, str, float, Literal["<=", ">="]], ...] = (
    ("most", "at most a factor of", 1.25, "<="),
    ("least", "at least a factor of", 0.75, ">="),
)
KACZMARZ = {METHOD: "With the published constants", PRACTICAL: "With accuracy only as descent needs it"}


def claims(settings: ConstrainedSettings) -> tuple[Claim, ...]:
    """Those of all problems."""
    return (
        *(claim for problem in GROUPS for claim in _convergence_claims(settings, problem)),
        *_rate_claims(),
        *(claim for problem in COMPARED for claim in _cost_claims(problem)),
        _growth_claim(settings),
        *(claim for problem in COMPARED for claim in _practice_claims(problem)),
    )


def _convergence_claims(settings: ConstrainedSettings, problem: str | tuple[str, ...]) -> list[Claim]:
    limit = settings.tolerance * (1.0 + 1e-6)  # the residual is measured again, and rounds in another way
    randomized = (METHOD, PRACTICAL) if problem == CONTROLS else (METHOD, PRACTICAL, GAUSSIAN, GAUSSIAN_PRACTICAL)
    unsolved = 1 / 12 if problem == SMALL_PROBLEMS else 0.0
    return [
        *(
            Claim(
                f"{contender}-converges",
                f"{contender} reaches a KKT residual of {settings.tolerance:g} on "
                + ("eleven of twelve problems" if unsolved else "all instances"),
                "abstract: global almost sure convergence",
                problem,
                partial(share_above, metric="kkt_residual", contender=contender, limit=limit),
                unsolved,
                "<=",
                "linear",
            )
            for contender in randomized
        ),
        *(
            Claim(
                f"{contender}-takes-unit-steps",
                f"{words}, the last three steps are full ones in nine of ten runs",
                "abstract: a unit stepsize is admissible locally",
                problem,
                partial(share_above, metric="late_shortfall", contender=contender, limit=0.0),
                0.1,
                "<=",
                "linear",
            )
            for contender, words in KACZMARZ.items()
        ),
        *(
            Claim(
                f"{contender}-reaches-its-accuracy",
                f"{words}, at most a tenth of the inner solves end at the limit on their steps",
                "abstract: the accuracy is controlled adaptively, which a limit on steps is not",
                problem,
                partial(mean_of, metric="inaccurate_share", contender=contender),
                0.1,
                "<=",
                "linear",
            )
            for contender, words in KACZMARZ.items()
        ),
        Claim(
            "solves-no-fewer",
            "With the published constants, no more instances stay unsolved than with the inexact l1-penalty SQP",
            "experiments: success on CUTEst problems",
            problem,
            partial(more_unsolved, contender=METHOD, peer=PENALTY, limit=limit),
            0.0,
            "<=",
            "linear",
        ),
        Claim(
            "same-solution",
            "In eleven of twelve runs variables and multipliers lie within a hundredth of those of exact Newton steps",
            "control: the same outer loop, solved by LU",
            problem,
            partial(share_above, metric="distance_to_reference", contender=METHOD, limit=1e-2),
            1 / 12,
            "<=",
            "linear",
            "control",
        ),
    ]


def _rate_claims() -> list[Claim]:
    return [
        *(
            Claim(
                f"{name}-at-{side}",
                f"At a relative residual of {accuracy:g}, the KKT residual falls by {words} {limit} times that",
                "abstract: local linear convergence, at the rate that the inner accuracy sets",
                LOGISTIC,
                partial(relative_rate, contender=name, accuracy=accuracy),
                limit,
                comparison,
            )
            for name, accuracy in ACCURACIES.items()
            for side, words, limit, comparison in RATE_BOUNDS
        ),
        Claim(
            "sharpened-is-superlinear",
            "With sharpened accuracy, the last step reduces the KKT residual by five times the factor of two before",
            "abstract: superlinear if the accuracy condition is sharpened",
            LOGISTIC,
            partial(median, metric="acceleration", contender=SHARPENED),
            0.2,
            "<=",
        ),
        Claim(
            "sharpened-takes-fewer-iterations",
            "With sharpened accuracy, no more Newton steps are taken than at a relative residual of 0.1",
            "abstract: the linear convergence can be strengthened",
            LOGISTIC,
            ratio("iterations", SHARPENED, "linear-0.1"),
            1.0,
            "<=",
        ),
        Claim(
            "constant-accuracy-is-not-superlinear",
            "At a constant relative residual of 0.1, the last steps do not speed up fivefold",
            "control: it is the sharpening that does it",
            LOGISTIC,
            partial(median, metric="acceleration", contender="linear-0.1"),
            0.2,
            role="control",
        ),
    ]


def _cost_claims(problem: str) -> list[Claim]:
    experiments = "experiments: evaluations of functions and of derivatives on CUTEst, logistic and control problems"
    counts = {"evaluations": "objective and constraints", "derivative_evaluations": "first derivatives"}
    rivals = {EXACT: (1.2, "1.2 times the evaluations"), PENALTY: (1.0, "the evaluations")}
    return [
        *(
            Claim(
                f"{contender}-{count.replace('_', '-')}-against-{rival}",
                f"{words}, {count_words} are evaluated at most {limit_words} of {rival}",
                experiments,
                problem,
                ratio(count, contender, rival),
                limit,
                "<=",
            )
            for contender, words in KACZMARZ.items()
            for count, count_words in counts.items()
            for rival, (limit, limit_words) in rivals.items()
        ),
        Claim(
            "cheaper-inner-steps",
            "A step of Kaczmarz takes no more operations than a step of GMRES",
            "abstract: reduces the flops per iteration",
            problem,
            partial(flops_per_step_ratio, contender=PRACTICAL, peer=PENALTY),
            1.0,
            "<=",
        ),
        *(
            Claim(
                f"fewer-inner-flops-than-{rival}",
                f"With accuracy only as descent needs it, all inner solves take no more operations than {rival}'s",
                "experiments: flops on CUTEst, logistic and control problems",
                problem,
                ratio("inner_flops", PRACTICAL, rival),
                1.0,
                "<=",
            )
            for rival in (PENALTY, MINRES, EXACT)
        ),
    ]


def _growth_claim(settings: ConstrainedSettings) -> Claim:
    unknowns = {name: 3.0 * side**2 for name, side in control_sides(settings).items()}
    return Claim(
        "flops-grow-no-faster",
        f"From {min(unknowns.values()):g} to {max(unknowns.values()):g} unknowns of control, the operations of "
        "Kaczmarz grow with no greater exponent than those of LU",
        "abstract: for large problems, where a factorisation is costly",
        CONTROLS,
        partial(faster_growth, metric="inner_flops", contender=PRACTICAL, peer=EXACT, sizes=unknowns),
        0.0,
        "<=",
        "linear",
    )


def _practice_claims(problem: str) -> list[Claim]:
    return [
        Claim(
            f"faster-than-{rival}",
            f"To the same KKT residual, the practical variant needs no more processor time than {rival}",
            "what a practitioner would use today",
            problem,
            ratio("cpu_seconds", rival, PRACTICAL),
            1.0,
            role="practice",
        )
        for rival in (EXACT, MINRES, PENALTY, "augmented-lagrangian", "trust-constr", "slsqp")
    ]
