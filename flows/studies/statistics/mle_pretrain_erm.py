"""Unsupervised pretraining with a few labels against the labels alone, on the paper's three models and on digits."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from data.problem import Problem
from data.statistics.pretraining import ContrastivePairs, FactorModel, GaussianMixture, PretrainingDigits
from kernels.statistics.pretraining import (
    pretrained_contrastive_regression,
    pretrained_factor_classification,
    pretrained_factor_regression,
    pretrained_mixture_classification,
)
from kernels.statistics.supervised import (
    known_representation,
    label_spreading,
    least_squares,
    logistic_regression,
    nearest_centroid,
    oracle_classification,
    principal_component_regression,
    ridge,
)
from tasks.claims import Claim, ratio
from tasks.rates import growth, log_log_slope
from tasks.study import Agreement, Contender, Metric, Paper, Settings, Size, Study

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

RISK = "excess_risk"
RANK = 2
DIGITS_RANK = 20
# On the coefficients of the representation, whose true norm is 1.
NORM_BOUND = 2.0
NEGLIGIBLE_RISK = 1e-9
FEW = "few-labels"
CONTROL = "too-little-unlabelled"
OUTSIDE = "label-outside-representation"
PAIRS = "contrastive-pairs"
MIXTURE = "gaussian-mixture"
DIGITS = "digits"
BY_DIMENSION = {f"dimension-{d}": d for d in (20, 50, 100)}
BY_LABELS = {f"labels-{n}": n for n in (30, 100, 300, 1000)}
BY_UNLABELLED = {f"unlabelled-{m}": m for m in (500, 5000, 50_000)}
REGRESSIONS = (FEW, CONTROL, OUTSIDE, *BY_DIMENSION, *BY_LABELS, *BY_UNLABELLED, PAIRS)


class PretrainingSettings(Settings):
    """The parameters of the study."""

    unlabelled: int = Field(50_000, ge=100, le=10**8, description="unlabelled observations where there are many")


def _problems(settings: PretrainingSettings) -> dict[str, Problem]:
    many = settings.unlabelled
    return {
        FEW: FactorModel(unlabelled=many),
        CONTROL: FactorModel(unlabelled=50, labelled=1000),
        OUTSIDE: FactorModel(unlabelled=many, labelled=300, outside=1.0),
        **{name: FactorModel(dimension=d, unlabelled=many, labelled=300) for name, d in BY_DIMENSION.items()},
        **{name: FactorModel(unlabelled=many, labelled=n) for name, n in BY_LABELS.items()},
        **{name: FactorModel(unlabelled=m, labelled=1000) for name, m in BY_UNLABELLED.items()},
        PAIRS: ContrastivePairs(),
        MIXTURE: GaussianMixture(),
        DIGITS: PretrainingDigits(),
    }


def _contenders(settings: PretrainingSettings, problem: str) -> tuple[Contender, ...]:  # noqa: ARG001 - all sizes alike
    if problem == DIGITS:
        pretrained = Contender(
            "pretrained",
            pretrained_factor_classification,
            {"rank": DIGITS_RANK},
            "method",
            summary="20 factors, then ERM",
        )
        spreading = Contender("label-spreading", label_spreading, summary="the usual semi-supervised method")
        return (pretrained, *_classifiers(), spreading)
    if problem == MIXTURE:
        options = {"components": GaussianMixture().components}
        pretrained = Contender(
            "pretrained",
            pretrained_mixture_classification,
            options,
            "method",
            stochastic=True,
            summary="EM, then votes",
        )
        return (pretrained, *_classifiers())
    bounded = {"norm_bound": NORM_BOUND}
    method = pretrained_contrastive_regression if problem == PAIRS else pretrained_factor_regression
    known = {**bounded, "mapping": "linear" if problem == PAIRS else "posterior-mean"}
    return (
        Contender("pretrained", method, {**bounded, "rank": RANK}, "method", summary="likelihood, then least squares"),
        Contender("oracle", known_representation, known, "control", summary="the representation is known"),
        Contender("least-squares", least_squares, summary="on the labelled inputs, the paper's baseline"),
        Contender("ridge", ridge, summary="RidgeCV on the labelled inputs"),
        Contender(
            "principal-components",
            principal_component_regression,
            {"rank": RANK},
            summary="of the labelled inputs alone",
        ),
    )


def _classifiers() -> tuple[Contender, ...]:
    return (
        Contender("oracle", oracle_classification, role="control", summary="the best predictions there are"),
        Contender("logistic-regression", logistic_regression, summary="on the labelled inputs"),
        Contender("nearest-centroid", nearest_centroid, summary="of the labelled inputs"),
    )


def excess_risk(instance: Any, result: Any) -> float:
    """What a predictor loses against the best one, as the instance measures it."""
    return float(instance.excess_risk(result.value))


def decay_of_pretraining_error(results: xr.Dataset, *, sizes: Mapping[str, float]) -> float:
    """The exponent with which the risk beyond that of the known representation falls with the unlabelled data.

    Where there is no such risk left it counts as NEGLIGIBLE_RISK.
    """
    risks: Any = results[RISK].sel(problem=list(sizes)).mean("instance", skipna=False)
    beyond = risks.sel(contender="pretrained") - risks.sel(contender="oracle")
    return -log_log_slope(list(sizes.values()), np.maximum(beyond.values, NEGLIGIBLE_RISK))


def difference(results: xr.Dataset, *, contender: str, other: str) -> float:
    """How much smaller the mean excess risk of a contender is than another's."""
    risks: Any = results[RISK].mean("instance", skipna=False)
    return float(risks.sel(contender=other) - risks.sel(contender=contender))


def _beats(name: str, problem: str, other: str, factor: float, source: str, role: Any = "paper") -> Claim:
    statement = f"Pretraining's excess risk is at most 1 / {factor:g} of that of {other}"
    return Claim(name, statement, source, problem, ratio(RISK, other, "pretrained"), factor, role=role)


def _claims(settings: PretrainingSettings) -> tuple[Claim, ...]:  # noqa: ARG001 - all sizes alike
    abstract = "abstract: C_Phi/m + C_Psi/n against C_joint/n, so pretraining wins where m >> n"
    return (
        _beats("halves-least-squares", FEW, "least-squares", 2.0, abstract),
        _beats("beats-ridge", FEW, "ridge", 1.0, "the strongest supervised opponent in this model", "practice"),
        _beats("beats-components", FEW, "principal-components", 1.0, "the same, without unlabelled data", "practice"),
        _beats("halves-least-squares", PAIRS, "least-squares", 2.0, "the paper's contrastive example"),
        _beats("beats-ridge", PAIRS, "ridge", 1.0, "the strongest supervised opponent", "practice"),
        _beats("beats-logistic", MIXTURE, "logistic-regression", 1.0, "the paper's mixture example"),
        _beats("beats-centroid", MIXTURE, "nearest-centroid", 1.0, "the plug-in rule of the true model", "practice"),
        *(
            Claim(
                f"beats-{other}",
                f"On digits, pretraining's error is less than that of {other}",
                "real data, for which the model is wrong",
                DIGITS,
                partial(difference, contender="pretrained", other=other),
                0.0,
                scale="linear",
                role="practice",
            )
            for other in ("logistic-regression", "label-spreading")
        ),
        *_growth_claims(),
        Claim(
            "needs-unlabelled-data",
            "With 50 unlabelled and 1,000 labelled observations ridge is better than pretraining",
            "negative control: the bound promises nothing where m is small",
            CONTROL,
            ratio(RISK, "pretrained", "ridge"),
            1.0,
            role="control",
        ),
        Claim(
            "needs-an-informative-model",
            "Where the label depends on what the representation loses, ridge is better than pretraining",
            "negative control: the paper's informative condition",
            OUTSIDE,
            ratio(RISK, "pretrained", "ridge"),
            1.0,
            role="control",
        ),
    )


def _growth_claims() -> list[Claim]:
    dimensions = tuple(BY_DIMENSION)
    return [
        Claim(
            "risk-follows-rank",
            "From dimension 20 to 100 pretraining's risk grows less than as d^0.25, as its head has rank dimensions",
            "C_Psi is the complexity of the head",
            dimensions,
            growth(RISK, "pretrained", BY_DIMENSION),
            0.25,
            "<=",
            "linear",
        ),
        Claim(
            "least-squares-follows-dimension",
            "From dimension 20 to 100 the risk of least squares grows at least as d^0.57 (2.5-fold)",
            "C_joint is the complexity of everything",
            dimensions,
            growth(RISK, "least-squares", BY_DIMENSION),
            float(np.log(2.5) / np.log(5.0)),
            ">=",
            "linear",
            "control",
        ),
        Claim(
            "falls-with-labels",
            "The risk on the known representation falls at least as n^-0.45",
            "the term sqrt(C_Psi / n) of the bound; squared loss gives about 1 / n",
            tuple(BY_LABELS),
            growth(RISK, "oracle", BY_LABELS),
            -0.45,
            "<=",
            "linear",
        ),
        Claim(
            "falls-with-unlabelled",
            "The risk beyond that of the known representation falls at least as m^-0.45",
            "the term sqrt(C_Phi / m) of the bound",
            tuple(BY_UNLABELLED),
            partial(decay_of_pretraining_error, sizes=BY_UNLABELLED),
            0.45,
            ">=",
            "linear",
        ),
    ]


def crossing_figure(tables: Mapping[str, xr.Dataset]) -> Figure:
    """Mean excess risk against the labelled and against the unlabelled observations."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    for axes, sizes, label in zip(
        figure.subplots(1, 2, sharey=True),
        (BY_LABELS, BY_UNLABELLED),
        ("labelled observations n (m = many)", "unlabelled observations m (n = 1,000)"),
        strict=True,
    ):
        for contender in ("pretrained", "oracle", "ridge", "least-squares", "principal-components"):
            means = [float(tables[name][RISK].sel(contender=contender).mean()) for name in sizes]
            axes.loglog(list(sizes.values()), means, "o-", label=contender)
        axes.set(xlabel=label, ylabel="mean excess risk")
        axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return figure


def root_mean_square_distance(value: Any, reference: Any) -> float:
    """Between two predictors, or two sets of predicted labels."""
    return float(np.sqrt(np.mean((value - reference) ** 2)))


STUDY = Study(
    name="mle-pretrain-erm",
    family="statistics",
    summary="Does a latent-variable model of unlabelled data save labels, and when does it not?",
    paper=Paper(
        title="On the Provable Advantage of Unsupervised Pretraining",
        authors="J. Ge, S. Tang, J. Fan, C. Jin",
        venue="ICLR 2024",
        claim="Excess risk of order sqrt(C_Phi / m) + sqrt(C_Psi / n) instead of sqrt(C_joint / n)",
    ),
    settings=PretrainingSettings,
    sizes={
        Size.SMALL: {"instances": 5, "repetitions": 4, "unlabelled": 5000},
        Size.DEFAULT: {"instances": 20, "repetitions": 5},
        Size.LARGE: {"instances": 50, "repetitions": 20},
    },
    problems=_problems,
    contenders=_contenders,
    metrics=(Metric(RISK, excess_risk, "excess risk over the best predictor"),),
    claims=_claims,
    # statistical methods agree no better than their errors allow: this bounds predictors and labels, no more
    agreement=lambda settings: Agreement("oracle", 10.0, root_mean_square_distance),
    history_length=lambda settings: 1,
    history_label="none",
    headline=("pretrained",),
    method="A latent-variable model is fitted to the unlabelled data by maximum likelihood: probabilistic principal "
    "components, a Gaussian mixture by EM, or a bilinear logistic model of tagged pairs. The posterior mean of the "
    "latent represents an input. A linear head on it is fitted to the few labels by least squares.",
    figure=crossing_figure,
    surprises="On digits, whose model is wrong, pretraining loses: least squares on 20 factors overfits 30 labels. "
    "Logistic regression is regularised, and label spreading uses the same unlabelled images far better.",
)
