import numpy as np

from data.problem import make_fields
from data.streams.mixed_systems import MixedSystems


def test_the_stored_stencil_is_the_system_of_its_kind():
    mixed = MixedSystems(grid=8)
    kinds = set()
    for index in range(40):
        fields = make_fields(mixed, 0, index)
        kinds.add(int(fields["kind"]))
        system = mixed.assemble(fields)
        south, west, centre, east, north = fields["stencil"]
        dense = system.matrix.toarray().reshape(8, 8, 8, 8)
        for y, x in ((0, 0), (3, 5), (7, 7), (7, 0)):
            assert dense[y, x, y, x] == centre[y, x]
            if y > 0:
                assert dense[y, x, y - 1, x] == south[y, x]
            if x > 0:
                assert dense[y, x, y, x - 1] == west[y, x]
            if x < 7:
                assert dense[y, x, y, x + 1] == east[y, x]
            if y < 7:
                assert dense[y, x, y + 1, x] == north[y, x]
    assert kinds == set(range(len(mixed.members)))


def test_its_kinds_differ_and_have_one_shape():
    mixed = MixedSystems(grid=8)
    names = [member.name for member in mixed.members]
    assert len(set(names)) == len(names)
    for member in mixed.members:
        assert np.prod(member.solution().shape) == 64


def test_the_same_instance_is_made_again():
    first, second = (make_fields(MixedSystems(grid=8), 3, 5) for _ in range(2))
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


def test_the_least_precise_kind_is_of_first_order():
    assert 0.9 < MixedSystems().verification()["observed_order"] < 1.1
