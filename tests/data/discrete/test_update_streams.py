import itertools

import numpy as np
import pytest
from pydantic import ValidationError

from data.discrete.coverage_stream import CoverageStream
from data.discrete.digit_exemplars import DigitExemplars, similarities
from data.discrete.update_stream import Pattern, draw_updates, is_insertion
from data.problem import make_fields

SMALL = [
    *(CoverageStream(elements=30, items=50, largest=8, pattern=pattern, updates=100) for pattern in Pattern),
    DigitExemplars(elements=40, neighbours=5, updates=100),
]


def live_after(elements, insertions):
    live = set()
    for element, inserted in zip(elements.tolist(), insertions.tolist(), strict=True):
        assert (element in live) != inserted
        live ^= {element}
        yield set(live)


@pytest.mark.parametrize("problem", SMALL)
def test_a_stream_inserts_what_is_absent_and_deletes_what_is_present(problem):
    stream = problem.assemble(make_fields(problem, 0, 0))
    assert len(list(live_after(stream.elements, stream.insertions))) == 100
    assert stream.elements.dtype == np.int64
    assert stream.benefits.has_canonical_format
    assert stream.benefits.shape[0] == problem.elements


@pytest.mark.parametrize("problem", SMALL)
def test_an_instance_depends_on_seed_and_index_alone(problem):
    first, again, other = (make_fields(problem, 0, index) for index in (1, 1, 2))
    assert all(first[name].tobytes() == again[name].tobytes() for name in first)
    assert all(first[name].tobytes() != other[name].tobytes() for name in first)


@pytest.mark.parametrize("problem", SMALL)
def test_the_fields_are_as_declared(problem):
    declared, fields = problem.variables(), make_fields(problem, 0, 0)
    for name, variable in declared.items():
        assert (fields[name].shape, fields[name].dtype) == (variable.shape, np.dtype(variable.dtype))


@pytest.mark.parametrize("pattern", list(Pattern))
@pytest.mark.parametrize("updates", [1, 7, 20, 55])
def test_a_stream_can_have_any_length(pattern, updates):
    elements = draw_updates(pattern, np.arange(21.0), updates, np.random.default_rng(0))
    assert elements.shape == (updates,)
    assert len(list(live_after(elements, is_insertion(elements)))) == updates


def test_churn_inserts_all_and_then_keeps_about_half():
    elements = draw_updates(Pattern.CHURN, np.zeros(100), 3000, np.random.default_rng(0))
    sizes = [len(live) for live in live_after(elements, is_insertion(elements))]
    assert sizes[99] == 100
    assert 45 < np.mean(sizes[-1000:]) < 55


def test_peeling_deletes_the_greatest_first_and_the_smaller_index_of_equal_ones():
    importance = np.array([1.0, 5.0, 2.0, 5.0, 4.0, 3.0])
    elements = draw_updates(Pattern.PEEL, importance, 15, np.random.default_rng(0))
    assert sorted(elements[:6].tolist()) == list(range(6))
    assert elements[6:9].tolist() == elements[12:15].tolist() == [1, 3, 4]
    assert sorted(elements[9:12].tolist()) == [1, 3, 4]


def test_a_window_holds_the_latest_half():
    elements = draw_updates(Pattern.WINDOW, np.zeros(10), 85, np.random.default_rng(0))
    insertions = is_insertion(elements)
    coming, leaving = elements[insertions], elements[~insertions]
    assert leaving.tolist() == coming[: leaving.size].tolist()
    assert coming[10:20].tolist() == coming[:10].tolist()
    assert {len(live) for live in itertools.islice(live_after(elements, insertions), 5, None)} == {4, 5}


def test_sets_hold_different_items_and_as_many_as_their_sizes_allow():
    problem = CoverageStream(elements=4000, items=10**5, smallest=2, largest=64, updates=1)
    member = make_fields(problem, 0, 0)["member"]
    sizes = (member >= 0).sum(axis=1)
    assert sizes.min() == 2
    assert sizes.max() == 64
    # log-uniform: as many sets from 2 to 11 as from 12 to 64
    assert 0.45 < (sizes < 11.4).mean() < 0.57
    for row, size in zip(member[:50], sizes, strict=False):
        assert (np.diff(row[:size]) > 0).all()
        assert (row[size:] == -1).all()


def test_an_item_that_is_drawn_twice_is_covered_once():
    problem = CoverageStream(elements=50, items=3, smallest=8, largest=8, updates=1)
    benefits = problem.assemble(make_fields(problem, 0, 0)).benefits.toarray()
    assert set(np.unique(benefits)) <= {0.0, 1.0}


def test_an_image_is_most_similar_to_itself_and_serves_those_that_are_near():
    from sklearn.datasets import load_digits
    from sklearn.neighbors import NearestNeighbors

    table = similarities(7).toarray()
    np.testing.assert_array_equal(np.diag(table), 1.0)
    assert (np.count_nonzero(table, axis=0) == 7).all()
    pixels = load_digits().data
    distances, _ = NearestNeighbors(n_neighbors=7, algorithm="brute").fit(pixels).kneighbors(pixels)
    expected = np.exp(-(distances**2) / (distances**2).mean())
    np.testing.assert_allclose(np.sort(table, axis=0)[::-1][:7], expected.T, atol=1e-12)


def test_the_digits_drawn_are_the_rows_of_the_benefits():
    problem = DigitExemplars(elements=40, neighbours=5, updates=100)
    fields = make_fields(problem, 0, 0)
    assert np.unique(fields["image"]).size == 40
    stream = problem.assemble(fields)
    np.testing.assert_array_equal(stream.benefits.toarray(), similarities(5).toarray()[fields["image"]])


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (CoverageStream, {"elements": 1}),
        (CoverageStream, {"smallest": 9, "largest": 8}),
        (CoverageStream, {"pattern": "burn"}),
        (CoverageStream, {"updates": 0}),
        (DigitExemplars, {"elements": 1798}),
        (DigitExemplars, {"neighbours": 0}),
    ],
)
def test_impossible_parameters_are_refused(kind, parameters):
    with pytest.raises(ValidationError):
        kind(**parameters)
