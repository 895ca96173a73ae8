"""The claims of the study."""

from functools import partial
from typing import Literal

import numpy as np

from flows.studies.optimization.block_descent.problems import (
    FORESTS,
    GRAPHS,
    METHOD,
    REFERENCE,
    REGRESSIONS,
    SLACKS,
    SPARSE,
    SPARSE_STEPS,
    BlockDescentSettings,
)
from flows.studies.optimization.block_descent.statistics import (
    gap_ratio,
    identification_ratio,
    share_of_gaps_above,
    steps_after_identification,
)
from tasks.claims import Claim, ratio
from tasks.rates import growth


def _at_most(
    problem: str,
    name: str,
    statement: str,
    source: str,
    pair: tuple[str, str],
    limit: float,
    role: Literal["paper", "practice"] = "paper",
) -> Claim:
    statistic = partial(gap_ratio, numerator=pair[0], denominator=pair[1])
    return Claim(name, statement, source, problem, statistic, limit, "<=", role=role)


def _faster(problem: str, library: str) -> Claim:
    return Claim(
        f"faster-than-{library}",
        f"To the same tolerance, greedy BCD needs no more processor time than {library}",
        "what a practitioner would use today",
        problem,
        ratio("cpu_seconds", library, METHOD),
        1.0,
        role="practice",
    )


def claims(settings: BlockDescentSettings) -> tuple[Claim, ...]:  # noqa: ARG001 - the signature of claims
    """Those of all problems."""
    return (
        *(claim for problem in REGRESSIONS for claim in _regression_claims(problem)),
        *(claim for problem in GRAPHS for claim in _graph_claims(problem)),
        *_forest_claims(),
        *(claim for problem in SPARSE for claim in _sparse_claims(problem)),
        *_slack_claims(),
    )


def _regression_claims(problem: str) -> list[Claim]:
    abstract = "abstract: more progress per iteration than the Gauss-Southwell rule"
    pairs = {"fixed": ("fixed-gsl", "fixed-gs"), "variable": ("variable-gsd", "variable-gs")}
    claims = [
        _at_most(
            problem,
            f"{blocks}-blocks-beat-gauss-southwell",
            f"At equal steps {pair[0]} leaves no larger gap than {pair[1]}",
            abstract,
            pair,
            1.0,
        )
        for blocks, pair in pairs.items()
    ]
    claims += [
        _at_most(
            problem,
            f"{blocks}-blocks-beat-gauss-southwell-tenfold",
            f"At equal steps {pair[0]} leaves at most a tenth of the gap of {pair[1]}",
            "experiments on least squares, logistic and softmax regression",
            pair,
            0.1,
        )
        for blocks, pair in pairs.items()
    ]
    claims += [
        _at_most(
            problem,
            f"variable-{rule}-beats-fixed",
            f"With rule {rule}, variable blocks leave no larger gap than fixed ones",
            "experiments: variable blocks outperform fixed ones",
            (f"variable-{rule}", f"fixed-{rule}"),
            1.0,
        )
        for rule in ("gs", "gsd")
    ]
    claims += [
        _at_most(
            problem,
            f"matrix-update-beats-gradient-{blocks}",
            f"With {name}, matrix updates leave no larger gap than gradient updates",
            "section 3: matrix updates make more progress",
            (f"{name}-matrix", name),
            1.0,
        )
        for blocks, name in (("fixed", "fixed-gsl"), ("variable", "variable-gsd"))
    ]
    claims += [
        _at_most(
            problem,
            "gsq-near-gsl",
            "With matrix updates of fixed blocks, GSQ leaves at most 1.5 times the gap of GSL",
            "the rule of greatest decrease of the bound",
            ("fixed-gsq-matrix", "fixed-gsl-matrix"),
            1.5,
        ),
        _at_most(
            problem,
            "hard-thresholding-helps",
            "With matrix updates, blocks by hard thresholding leave no larger gap than the GSD blocks they start from",
            "section 2: approximate GSQ for variable blocks",
            ("variable-gsq-matrix", "variable-gsd-matrix"),
            1.0,
        ),
        _at_most(
            problem,
            "greedy-beats-cyclic",
            "At equal steps GSL leaves no larger gap than reshuffled cyclic blocks",
            "what practitioners run",
            ("fixed-gsl", "fixed-cyclic"),
            1.0,
            "practice",
        ),
        _faster(problem, "scipy-lbfgs"),
        _faster(problem, REFERENCE if problem == "least-squares" else "sklearn-lbfgs"),
    ]
    if problem != "least-squares":
        claims.append(
            _at_most(
                problem,
                "newton-update-beats-bound",
                "Newton updates leave no larger gap than matrix updates with the fixed bound",
                "section 3: Newton updates",
                ("variable-gsd-newton", "variable-gsd-matrix"),
                1.0,
            )
        )
    return claims


def _graph_claims(problem: str) -> list[Claim]:
    rivals = (
        ("tree-partition", "at most 0.8 times the gap of", 0.8),
        ("red-black", "no larger gap than", 1.0),
        ("random-forest", "no larger gap than", 1.0),
        ("dense-blocks", "at most a fifth of the gap of", 0.2),
    )
    return [
        *(
            _at_most(
                problem,
                f"beats-{rival}",
                f"At equal steps greedy forests leave {words} {rival}",
                "section 4: message passing on huge blocks",
                ("greedy-forest", rival),
                limit,
            )
            for rival, words, limit in rivals
        ),
        *(_faster(problem, library) for library in ("cg", REFERENCE, "amg-cg")),
    ]


def _forest_claims() -> list[Claim]:
    # unlabelled nodes grow with the square of the side: a factor of nine from size to size
    sizes = {name: 9.0**power for power, name in enumerate(FORESTS)}
    return [
        Claim(
            "linear-time",
            "The time of a step over a greedy forest grows at most as n^1.3",
            "section 4: blocks of the order of n in linear time",
            FORESTS,
            growth("cpu_seconds", "one-forest", sizes),
            1.3,
            "<=",
            "linear",
        ),
        Claim(
            "message-passing-beats-superlu",
            "A step by message passing needs no more time than one by SuperLU on the same forest",
            "what a practitioner would use today",
            FORESTS[-1],
            ratio("cpu_seconds", "one-forest-lu", "one-forest"),
            1.0,
            role="practice",
        ),
        *(_faster(FORESTS[-1], library) for library in ("cg", REFERENCE, "amg-cg")),
    ]


def _sparse_claims(problem: str) -> list[Claim]:
    section = "section 5: active sets and superlinear convergence"
    return [
        Claim(
            "two-metric-solves",
            f"Two-metric projection reaches a gap of 1e-12 within {SPARSE_STEPS} steps everywhere",
            section,
            problem,
            partial(share_of_gaps_above, contender=METHOD, limit=1e-12),
            0.0,
            "<=",
            "linear",
        ),
        Claim(
            "projected-gradient-does-not",
            "Projected gradient steps on the same blocks do not, anywhere",
            section,
            problem,
            partial(share_of_gaps_above, contender="projected-gradient", limit=1e-12),
            1.0,
            ">=",
            "linear",
        ),
        Claim(
            "finite-termination",
            "Once it has found the support, two-metric projection ends within 3 steps",
            section,
            problem,
            partial(steps_after_identification, contender=METHOD),
            3.0,
            "<=",
            "linear",
        ),
        Claim(
            "identifies-earlier",
            "Two-metric projection finds its support in no more steps than projected gradient steps",
            section,
            problem,
            ratio("identification", "projected-gradient", METHOD),
            1.0,
        ),
        *(_faster(problem, library) for library in ("celer", "sklearn-lasso", "scipy-lbfgsb")),
    ]


def _slack_claims() -> list[Claim]:
    digits = {name: -np.log10(slack) for name, slack in SLACKS.items()}
    return [
        Claim(
            "identification-logarithmic",
            "The step of identification of projected gradient grows with log(1/slack) at an exponent of at most 1.3",
            "section 5: active-set complexity O(log(1/slack))",
            tuple(SLACKS),
            growth("identification", "projected-gradient", digits),
            1.3,
            "<=",
            "linear",
        ),
        Claim(
            "identification-waits-for-slack",
            "At slack 1e-4 projected gradient identifies later than at 1e-1",
            "control: the slack decides",
            tuple(SLACKS),
            partial(identification_ratio, contender="projected-gradient", small="slack-1e-4", great="slack-1e-1"),
            1.0,
            role="control",
        ),
        *(_faster("slack-1e-4", library) for library in (REFERENCE, "scipy-lbfgsb")),
    ]
