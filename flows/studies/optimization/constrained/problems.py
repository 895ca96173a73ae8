"""The settings of the study and the problems they make."""

from pydantic import Field

from data.optimization.constrained.hock_schittkowski import HockSchittkowski
from data.optimization.constrained.logistic_regression import ConstrainedLogistic
from data.optimization.constrained.poisson_control import PoissonControl
from data.problem import Problem
from tasks.study import Settings

METHOD, PRACTICAL = "kaczmarz", "kaczmarz-practical"
GAUSSIAN, GAUSSIAN_PRACTICAL = "gaussian", "gaussian-practical"
EXACT, MINRES, PENALTY = "newton-lu", "newton-minres", "l1-sqp"
REFERENCE = "reference"
SMALL_PROBLEMS, LOGISTIC = "hock-schittkowski", "logistic"
CONTROLS = ("control-small", "control-middle", "control-large")
COMPARED = (SMALL_PROBLEMS, LOGISTIC, CONTROLS[-1])  # where costs are compared
ACCURACIES = {"linear-0.3": 0.3, "linear-0.1": 0.1, "linear-0.03": 0.03}
SHARPENED = "sharpened"
# the published thresholds below which a Hessian is modified
LEAST_CURVATURE = {LOGISTIC: 1e-2}


class ConstrainedSettings(Settings):
    """The parameters of the study; twelve instances are one round of the small problems."""

    equations: int = Field(10, ge=1, le=28, description="linear equations of the logistic regression")
    control_side: int = Field(6, ge=4, le=24, description="vertices per side of the largest control problem")
    tolerance: float = Field(1e-4, gt=0.0, lt=1.0, description="on the KKT residual where costs are compared")
    rate_tolerance: float = Field(1e-10, gt=0.0, lt=1.0, description="on the KKT residual where rates are measured")
    most_inner_steps: int = Field(100_000, ge=1, le=10**7, description="random steps before a system is given up")
    long_inner_steps: int = Field(
        1_000_000, ge=1, le=10**8, description="the same for control problems and where rates are measured"
    )
    max_iterations: int = Field(500, ge=1, le=10**4, description="Newton steps")


def problems(settings: ConstrainedSettings) -> dict[str, Problem]:
    """The problems by their names; those of control differ in size."""
    sides = control_sides(settings)
    return {
        SMALL_PROBLEMS: HockSchittkowski(),
        LOGISTIC: ConstrainedLogistic(equations=settings.equations),
        **{name: PoissonControl(side=side) for name, side in sides.items()},
    }


def control_sides(settings: ConstrainedSettings) -> dict[str, int]:
    """Half, three quarters and all of the largest side."""
    side = settings.control_side
    return dict(zip(CONTROLS, (side // 2, side - side // 4, side), strict=True))
