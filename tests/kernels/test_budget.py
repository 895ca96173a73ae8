import pytest

from kernels.budget import Budget


def test_units_are_charged_until_they_do_not_suffice():
    budget = Budget({"oracle_calls": 3})
    assert [budget.spend(oracle_calls=2), budget.spend(oracle_calls=2), budget.spend(oracle_calls=1)] == [
        True,
        False,
        True,
    ]
    assert budget.spent == {"oracle_calls": 3.0}
    assert budget.left("oracle_calls") == 0


def test_nothing_is_charged_where_one_of_several_units_does_not_suffice():
    budget = Budget({"oracle_calls": 3, "memory_bytes": 10})
    assert not budget.spend(oracle_calls=1, memory_bytes=11)
    assert budget.spent == {"oracle_calls": 0.0, "memory_bytes": 0.0}


def test_what_is_not_limited_is_counted():
    budget = Budget({})
    assert budget.spend(gradients=7)
    assert budget.spent == {"gradients": 7.0}


@pytest.mark.parametrize("limit", [-1, float("nan")])
def test_a_limit_that_is_none_is_refused(limit):
    with pytest.raises(ValueError, match="the budget of calls must be at least 0"):
        Budget({"calls": limit})
