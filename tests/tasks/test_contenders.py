import time

import numba
import numpy as np
import pytest
import threadpoolctl

from kernels.result import Result, Status
from tasks.contenders import Outcome, run_contender, status_code, status_legend
from tasks.study import Contender, Metric

INSTANCES = [np.array([float(i)]) for i in range(5)]


def result(value, status=Status.CONVERGED):
    return Result(np.atleast_1d(value).astype(float), status, np.empty(0), {"iterations": 3})


def double(instance):
    return result(2 * instance)


def double_backwards(instances):
    for position in reversed(range(len(instances))):
        yield position, result(2 * instances[position])


def refuse_two(instance):
    if instance[0] == 2.0:
        raise ArithmeticError("two\nis refused")
    return double(instance)


def stop_at_two(instances):
    for position, instance in enumerate(instances):
        yield position, refuse_two(instance)


def end_early(instances):
    yield 3, double(instances[min(3, len(instances) - 1)])


def refuse_all_at_once(instances):
    raise ValueError("no sequence at all")


def draw(instance, random):
    return result(random.standard_normal(3))


def draw_sequence(instances, random):
    for position, _ in enumerate(instances):
        yield position, result(random.standard_normal(3))


def values(outcomes):
    return [outcome.result.value.tolist() for outcome in outcomes]


@pytest.mark.parametrize(("method", "sequential"), [(double, False), (double_backwards, True)])
def test_results_stand_at_the_positions_of_their_instances(method, sequential):
    outcomes = run_contender(Contender("double", method, sequential=sequential), INSTANCES, seed=0, first=0)
    assert values(outcomes) == [[2.0 * i] for i in range(5)]
    assert all(outcome.failure == "" and outcome.result.converged for outcome in outcomes)
    assert all(outcome.wall_seconds >= 0 and outcome.cpu_seconds >= 0 for outcome in outcomes)


def test_an_exception_fails_its_instance_and_no_other():
    outcomes = run_contender(Contender("picky", refuse_two), INSTANCES, seed=0, first=0)
    assert [outcome.result.status is Status.FAILED for outcome in outcomes] == [i == 2 for i in range(5)]
    failed = outcomes[2]
    assert failed.failure.startswith("ArithmeticError: two is refused (refuse_two, line ")
    assert np.isnan([failed.cpu_seconds, failed.wall_seconds]).all()


def test_an_exception_in_a_sequence_fails_what_was_not_solved_before_it():
    outcomes = run_contender(Contender("picky", stop_at_two, sequential=True), INSTANCES, seed=0, first=0)
    assert [outcome.result.status is Status.FAILED for outcome in outcomes] == [i >= 2 for i in range(5)]
    assert all("two is refused" in outcome.failure for outcome in outcomes[2:])


def test_a_sequence_that_ends_early_fails_the_instances_it_left_out():
    outcomes = run_contender(Contender("lazy", end_early, sequential=True), INSTANCES, seed=0, first=0)
    assert [outcome.failure == "" for outcome in outcomes] == [i == 3 for i in range(5)]


def test_a_sequential_method_that_raises_at_once_fails_all_instances():
    outcomes = run_contender(Contender("broken", refuse_all_at_once, sequential=True), INSTANCES, seed=0, first=0)
    assert all("no sequence at all" in outcome.failure for outcome in outcomes)


def test_a_contender_is_warmed_up_once_in_a_process_and_on_one_instance():
    calls = []

    def record(instance):
        calls.append(instance[0])
        return double(instance)

    contender = Contender("recorded", record)
    run_contender(contender, INSTANCES[3:], seed=0, first=3)
    assert calls == [3.0, 3.0, 4.0]
    run_contender(contender, INSTANCES[:2], seed=0, first=0)
    assert calls == [3.0, 3.0, 4.0, 0.0, 1.0]


@pytest.mark.parametrize(("loads", "runs"), [(False, 1), (True, 2)])
def test_a_long_first_run_counts_unless_it_loads_code(loads, runs):
    calls = []
    increment = numba.njit(lambda x: x + 1)

    def long(instance):
        calls.append(instance[0])
        time.sleep(0.3)
        return double(instance + (increment(1.0) - 2.0 if loads else 0.0))

    outcomes = run_contender(Contender(f"long, {loads}", long), INSTANCES[:2], seed=0, first=0)
    assert calls == [0.0] * runs + [1.0]
    assert values(outcomes) == [[0.0], [2.0]]


def test_a_long_first_run_of_a_sequence_does_not_count():
    calls = []

    def long(instances):
        for position, instance in enumerate(instances):
            calls.append(instance[0])
            time.sleep(0.3)
            yield position, double(instance)

    run_contender(Contender("long sequence", long, sequential=True), INSTANCES[:2], seed=0, first=0)
    assert calls == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("sequential", [False, True])
def test_every_blas_runs_on_one_thread(sequential):
    def count_threads(*_):
        return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]

    def each(instance):
        return result(count_threads())

    def sequence(instances):
        yield 0, result(count_threads())

    with threadpoolctl.threadpool_limits(2):
        assert 2 in count_threads()
        contender = Contender("counter", sequence if sequential else each, sequential=sequential)
        (outcome,) = run_contender(contender, INSTANCES[:1], seed=0, first=0)
        assert 2 in count_threads()
    assert set(outcome.result.value) == {1.0}


def test_stochastic_contenders_get_equal_streams_on_an_instance():
    one, other = (run_contender(Contender(name, draw, stochastic=True), INSTANCES, 7, 0) for name in ("one", "other"))
    assert values(one) == values(other)
    assert len({tuple(value) for value in values(one)}) == len(INSTANCES)


def test_the_stream_of_an_instance_does_not_depend_on_the_shard():
    contender = Contender("random", draw, stochastic=True)
    whole = run_contender(contender, INSTANCES, seed=7, first=0)
    parts = run_contender(contender, INSTANCES[:2], 7, 0) + run_contender(contender, INSTANCES[2:], 7, 2)
    assert values(whole) == values(parts)
    assert values(whole) != values(run_contender(contender, INSTANCES, seed=8, first=0))


def test_a_stochastic_sequence_repeats_itself():
    contender = Contender("random", draw_sequence, sequential=True, stochastic=True)
    assert values(run_contender(contender, INSTANCES, 7, 0)) == values(run_contender(contender, INSTANCES, 7, 0))


def test_a_failed_outcome_has_no_score():
    metric = Metric("value", lambda instance, outcome: outcome.value[0], "value")
    assert Outcome(result(5.0), 0.0, 0.0).score(metric, None) == 5.0
    assert np.isnan(Outcome(result(5.0, Status.FAILED), 0.0, 0.0).score(metric, None))


def test_the_legend_explains_every_code():
    assert [status_code(status) for status in Status] == list(range(len(Status)))
    assert all(f"{status_code(status)} = {status.name.lower()}" in status_legend() for status in Status)


def call_until_refused(instance, budget, step):
    while budget.spend(oracle_calls=step):
        pass
    return result(instance)


def spend_without_asking(instance, budget):
    return Result(np.atleast_1d(instance), Status.CONVERGED, np.empty(0), {"oracle_calls": 100.0})


@pytest.mark.parametrize(("step", "spent"), [(1, 10.0), (3, 9.0)])
def test_every_instance_has_the_same_budget_and_what_is_spent_is_counted(step, spent):
    contender = Contender(f"calls-{step}", call_until_refused, {"step": step}, budgeted=True)
    outcomes = run_contender(contender, INSTANCES, seed=0, first=0, budget={"oracle_calls": 10})
    assert [outcome.result.work["oracle_calls"] for outcome in outcomes] == [spent] * 5
    assert outcomes[0].result.work["iterations"] == 3


def test_a_result_that_cost_more_than_the_budget_has_failed():
    contender = Contender("greedy", spend_without_asking, budgeted=True)
    outcomes = run_contender(contender, INSTANCES, seed=0, first=0, budget={"oracle_calls": 10})
    assert {outcome.result.status for outcome in outcomes} == {Status.FAILED}
    assert outcomes[0].failure == "oracle_calls: 100 spent, 10 allowed"
