"""AdaSketch-Newton: Newton's method for equality constraints with randomized inner solves, against exact ones."""

from flows.studies.optimization.constrained.claims import claims
from flows.studies.optimization.constrained.contenders import contenders
from flows.studies.optimization.constrained.figure import rates_and_costs
from flows.studies.optimization.constrained.problems import (
    EXACT,
    METHOD,
    PENALTY,
    PRACTICAL,
    REFERENCE,
    ConstrainedSettings,
    problems,
)
from flows.studies.optimization.constrained.statistics import acceleration, distance, kkt_residual, late_shortfall, rate
from tasks.study import Agreement, Metric, Paper, Size, Study, work_metric

STUDY = Study(
    name="adasketch-newton",
    family="optimization",
    summary="Do random rows solve Newton's systems well enough, and cheaply, where constraints are nonlinear?",
    paper=Paper(
        title="Constrained Optimization via Exact Augmented Lagrangian and Randomized Iterative Sketching",
        authors="I. Hong, S. Na, M. W. Mahoney, M. Kolar",
        venue="ICML 2023",
        claim="Newton steps by randomized sketching, of an accuracy and with penalties that adapt, converge almost "
        "surely from anywhere, at last with unit steps and linearly, superlinearly if the accuracy is sharpened",
    ),
    settings=ConstrainedSettings,
    sizes={
        Size.SMALL: {
            "instances": 2,
            "repetitions": 2,
            "control_side": 4,
            "most_inner_steps": 10_000,
            "long_inner_steps": 100_000,
        },
        Size.DEFAULT: {"instances": 12, "repetitions": 5},
        Size.LARGE: {"instances": 12, "repetitions": 10, "control_side": 8, "most_inner_steps": 1_000_000},
    },
    problems=problems,
    contenders=contenders,
    metrics=(
        Metric("kkt_residual", kkt_residual, "norm of constraints and Lagrangian gradient"),
        work_metric("iterations", "Newton steps"),
        work_metric("evaluations", "evaluations of objective and constraints"),
        work_metric("derivative_evaluations", "evaluations of first derivatives"),
        work_metric("inner_steps", "steps of the inner solver"),
        work_metric("inner_flops", "operations of the inner solver"),
        work_metric("inaccurate_share", "share of inner solves that ended before they were accurate"),
        work_metric("modified_share", "share of Hessians that were modified"),
        work_metric("demanded_residual", "median relative residual that inner solves are asked for"),
        Metric("late_shortfall", late_shortfall, "one less the shortest of the last three steps"),
        Metric("rate", rate, "median factor of the KKT residual in the last five steps"),
        Metric("acceleration", acceleration, "last factor of the KKT residual over that two steps before"),
    ),
    claims=claims,
    agreement=lambda settings: Agreement(REFERENCE, 1e-2, distance),
    history_length=lambda settings: settings.max_iterations + 1,
    history_label="KKT residual",
    headline=(METHOD, PRACTICAL, EXACT, PENALTY),
    method="Newton's system for variables and multipliers is solved by projections onto random rows, only to an "
    "accuracy at which the direction descends on an exact augmented Lagrangian, a merit function of variables and "
    "multipliers together. Where it does not descend enough, the penalties and the accuracy change and the solver goes "
    "on from where it stands. A line search on the merit function moves variables and multipliers together.",
    figure=rates_and_costs,
    surprises="The rates are those of the theory: at relative residuals of 0.3, 0.1 and 0.03 the KKT residual falls by "
    "0.98 times that, and sharpened accuracy is superlinear. But the published constants put the accuracy on its floor "
    "before the first step, whatever the problem; divided by the system's norm and the bound on its inverse, that asks "
    "for relative residuals of 1e-10 to 1e-12, and on logistic and control problems seven or eight solves of ten end "
    "at the limit on steps instead: nothing adapts. What is saved in evaluations is owed to the merit function, not to "
    "sketching, for exact solves need about as many; and one trial step costs first derivatives too, which one on an "
    "l1 penalty does not. A step of Kaczmarz costs at most a fifteenth of one of GMRES, yet all steps together take 25 "
    "to 80 times the operations, and 95 to 1900 times those of LU. From 48 to 192 unknowns of control they grow with "
    "exponent 2.2, LU's with 1.6, though not yet over the smaller sizes of the claim. Whether the Hessian has enough "
    "curvature is decided on a null space, which costs as much as the factorisation that sketching is to avoid. Two of "
    "the twelve small problems end with a half step among the last three, but so they do with exact solves.",
)
