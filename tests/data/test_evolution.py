import numpy as np
import pytest
from scipy.sparse import eye_array

from data.evolution import Evolution


def doubling(states):
    return eye_array(3, format="csr"), 2.0 * states[-1]


EVOLUTION = Evolution(np.ones(3), 2, doubling, np.array([5.0]), symmetric=True, positive_definite=True)


def test_a_step_is_a_system_with_the_flags_and_the_sort_key_of_the_instance():
    system = EVOLUTION.system([EVOLUTION.initial])
    np.testing.assert_array_equal(system.rhs, [2.0, 2.0, 2.0])
    np.testing.assert_array_equal(system.parameters, [5.0])
    assert system.symmetric
    assert system.positive_definite


def test_the_next_state_follows_from_the_latest():
    np.testing.assert_array_equal(EVOLUTION.system([np.ones(3), np.full(3, 7.0)]).rhs, [14.0, 14.0, 14.0])


@pytest.mark.parametrize("count", [0, 3])
def test_no_step_is_taken_before_the_first_state_or_after_the_last(count):
    with pytest.raises(ValueError, match=f"states holds {count} states; a next one follows 1 to 2 of them"):
        EVOLUTION.system([np.ones(3)] * count)
