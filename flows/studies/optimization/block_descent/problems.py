"""The settings of the study and the problems they make."""

from pydantic import Field

from data.optimization.label_propagation import LatticeLabels, MoonsLabels
from data.optimization.linear_models import DigitsSoftmax, ScaledLeastSquares, ScaledLogistic, ScaledSoftmax
from data.optimization.nonnegative_models import DigitsCoding, NonnegativeLasso, PlantedActiveSet
from data.problem import Problem
from tasks.study import Settings

METHOD, REFERENCE = "greedy-bcd", "reference"
OBJECTIVE = "relative_objective"
REGRESSIONS = ("least-squares", "logistic", "softmax", "digits-softmax")
GRAPHS = ("lattice", "moons")
SPARSE = ("nonnegative-lasso", "digits-coding")
FORESTS = ("forest-small", "forest-middle", "forest-large")
SLACKS = {"slack-1e-1": 1e-1, "slack-1e-2": 1e-2, "slack-1e-3": 1e-3, "slack-1e-4": 1e-4}
# as many steps as the paper gives two-metric projection and its rival
SPARSE_STEPS = 300


class BlockDescentSettings(Settings):
    """The parameters of the study."""

    examples: int = Field(200, ge=20, le=10**5, description="examples of least squares, logistic regression and lasso")
    features: int = Field(1000, ge=20, le=10**5, description="their features")
    softmax_examples: int = Field(300, ge=40, le=10**5, description="examples of the softmax regression")
    softmax_features: int = Field(100, ge=4, le=10**4, description="its features")
    classes: int = Field(10, ge=2, le=100, description="its classes")
    digits: int = Field(30, ge=1, le=174, description="images of each digit to be told apart")
    images: int = Field(1000, ge=20, le=1796, description="images that code another")
    planted_features: int = Field(200, ge=20, le=10**4, description="features of problems with a known active set")
    side: int = Field(50, ge=4, le=1000, description="nodes per side of the lattice")
    largest_side: int = Field(216, ge=18, le=2048, description="of the largest lattice; others have a third, a ninth")
    points: int = Field(2000, ge=100, le=10**6, multiple_of=2, description="points of the two moons")
    steps: int = Field(500, ge=1, le=10**5, description="at which rules and updates of small blocks are compared")
    forest_steps: int = Field(60, ge=1, le=10**5, description="at which blocks of graphs are compared")
    block_size: int = Field(5, ge=1, le=1000, description="of the blocks that are compared")
    method_block_size: int = Field(50, ge=1, le=1000, description="of the method's own blocks for smooth losses")
    sparse_block_size: int = Field(100, ge=1, le=1000, description="of all blocks for nonnegative weights")
    tolerance: float = Field(1e-8, gt=0.0, lt=1.0, description="on the gradient's norm relative to that at zero")


def problems(settings: BlockDescentSettings) -> dict[str, Problem]:
    """The problems by their names; those of one kind differ in size or slack."""
    shape = {"examples": settings.examples, "features": settings.features}
    planted = {"features": settings.planted_features, "examples": 3 * settings.planted_features // 2}
    sides = (settings.largest_side // 9, settings.largest_side // 3, settings.largest_side)
    return {
        "least-squares": ScaledLeastSquares(**shape),
        "logistic": ScaledLogistic(**shape),
        "softmax": ScaledSoftmax(
            examples=settings.softmax_examples, features=settings.softmax_features, classes=settings.classes
        ),
        "digits-softmax": DigitsSoftmax(examples_per_class=settings.digits),
        "lattice": LatticeLabels(side=settings.side),
        "moons": MoonsLabels(points=settings.points),
        **{name: LatticeLabels(side=side) for name, side in zip(FORESTS, sides, strict=True)},
        "nonnegative-lasso": NonnegativeLasso(**shape),
        "digits-coding": DigitsCoding(images=settings.images),
        **{name: PlantedActiveSet(**planted, slack=slack) for name, slack in SLACKS.items()},
    }
