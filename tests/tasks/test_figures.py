import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from result_tables import RESULTS, histories

from tasks.claims import Judgement, Verdict
from tasks.figures import COLOURS, claims_figure, convergence_figure


def judgement(estimate, lower, upper, verdict, threshold=2.0, comparison=">="):
    return Judgement(
        "faster", "", "", "darcy", "paper", comparison, threshold, estimate, lower, upper, 3, True, verdict
    )


def texts(figure):
    return [text.get_text().strip() for text in figure.axes[0].texts]


def drawn(figure):
    """Render the figure, so that a value that cannot be drawn shows."""
    FigureCanvasAgg(figure).draw()
    return figure.axes[0]


def test_every_claim_is_drawn_relative_to_its_threshold_in_the_colour_of_its_verdict():
    figure = claims_figure(
        [judgement(4.0, 3.0, 6.0, Verdict.HOLDS), judgement(1.0, 0.5, 1.5, Verdict.FAILS)], "a paper"
    )
    axes = drawn(figure)
    intervals = [line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_linewidth() == 3]
    assert [(line.get_xdata().tolist(), line.get_color()) for line in intervals] == [
        ([0.25, 0.75], COLOURS[Verdict.FAILS]),
        ([1.5, 3.0], COLOURS[Verdict.HOLDS]),
    ]
    assert texts(figure) == ["1 \N{GREATER-THAN OR EQUAL TO} 2: fails", "4 \N{GREATER-THAN OR EQUAL TO} 2: holds"]
    assert figure.get_suptitle() == "a paper"


@pytest.mark.parametrize("threshold", [0.0, 2.0])
def test_a_claim_without_bounds_is_named_and_not_drawn(threshold):
    figure = claims_figure([judgement(np.nan, -np.inf, np.inf, Verdict.INCONCLUSIVE, threshold, "<=")], "a paper")
    drawn(figure)
    assert len(figure.axes[0].lines) == 1
    assert texts(figure) == [f"nan \N{LESS-THAN OR EQUAL TO} {threshold:g}: inconclusive"]


def test_the_curves_of_the_headline_are_bold():
    table = histories([1.0, 0.1, 0.01], contenders=("new", "old"))
    axes = drawn(convergence_figure(RESULTS, table, ("new",)))
    assert {line.get_label(): line.get_linewidth() > 2 for line in axes.lines} == {"new": True, "old": False}
    assert axes.get_yscale() == "log"
    assert axes.get_title() == "sums: darcy"


def test_methods_without_histories_leave_an_empty_figure():
    table = histories([], [], contenders=("new", "old"))
    assert not drawn(convergence_figure(RESULTS, table, ("new",))).lines
