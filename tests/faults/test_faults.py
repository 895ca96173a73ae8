"""200 faults, each of which must strike, and leave nothing behind once the same command was given again.

`pytest -m faults -k 017` repeats the fault numbered 017: kind and moment come from its number.
"""

import random
from contextlib import closing

import pytest
from fault_kinds import KINDS
from fault_world import COMPILER

ATTEMPTS = 5
SAMPLE = (79, 170)  # of kinds that take seconds

FAULTS = [kind for kind, (_, count) in KINDS.items() for _ in range(count)]
NEEDED = {
    "clock jump": pytest.mark.skipif(COMPILER is None, reason="cc, which makes the library that shifts the clock")
}
NUMBERS = [pytest.param(number, marks=NEEDED.get(kind, ())) for number, kind in enumerate(FAULTS)]


def name(number):
    return f"{number:03d}-{FAULTS[number].replace(' ', '-')}"


def inject(world, number, record_property):
    kind = FAULTS[number]
    strike, _ = KINDS[kind]
    drawn = random.Random(number)
    for _ in range(ATTEMPTS):
        with closing(world.case()) as case:
            struck = strike(case, drawn)
            case.settle()
        if struck:
            record_property("fault", kind)
            return
    pytest.fail(f"{kind}: the run was always over before it could strike")


def test_there_are_two_hundred_faults():
    assert len(FAULTS) == 200


@pytest.mark.faults
@pytest.mark.timeout(400)
@pytest.mark.parametrize("number", NUMBERS, ids=name)
def test_after_a_fault_the_same_command_leaves_no_trace_of_it(world, number, record_property):
    inject(world, number, record_property)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("number", SAMPLE, ids=name)
def test_after_one_fault_of_a_sample_the_same_command_leaves_no_trace_of_it(world, number, record_property):
    inject(world, number, record_property)
