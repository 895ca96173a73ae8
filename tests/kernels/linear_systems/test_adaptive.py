import math
from dataclasses import replace

import numpy as np
import pytest
from grid_systems import canonical, convection_diffusion, poisson, random_dominant, system
from scipy.sparse.linalg import spsolve

from data.problem import make_fields
from data.registry import problem
from kernels.linear_systems.adaptive import ARM_NAMES, AdaptiveSolver, adaptive_sequence
from kernels.linear_systems.adaptive.arms import make_arms
from kernels.linear_systems.adaptive.features import Pattern, look_at
from kernels.linear_systems.adaptive.policy import OptimisticPolicy
from kernels.linear_systems.lane_factorization.factors import LaneFactors
from kernels.result import Status


def systems_of(name, count, **parameters):
    chosen = problem(name, **parameters)
    return [chosen.assemble(make_fields(chosen, 0, index)) for index in range(count)]


FAMILIES = {
    "darcy": lambda count: systems_of("darcy-lognormal", count, grid=16),
    "convection": lambda count: systems_of("convection-diffusion", count, grid=16),
    "waves": lambda count: systems_of("helmholtz", count, grid=16, wave_number=12.0),
    "irregular": lambda count: systems_of("thermal", count, refinement=2),
}


def solved(systems, **options):
    results = dict(adaptive_sequence(systems, **options))
    assert sorted(results) == list(range(len(systems)))
    return [results[position] for position in range(len(systems))]


def residual(one, result):
    return np.linalg.norm(one.rhs - one.matrix @ result.value) / np.linalg.norm(one.rhs)


def names(results, key):
    return [ARM_NAMES[int(result.work[key])] for result in results]


class TestPolicy:
    def test_an_arm_that_cannot_be_cheapest_is_never_tried(self):
        policy = OptimisticPolicy()
        choices = []
        for _ in range(200):
            choices.append(policy.choose("context", {"cheap": 1.0, "dear": 50.0}))
            policy.update("context", choices[-1], {"cheap": 2.0, "dear": 60.0}[choices[-1]])
        assert set(choices) == {"cheap"}

    def test_an_arm_that_promises_more_than_it_keeps_is_left(self):
        policy = OptimisticPolicy()
        costs = {"promising": 9.0, "honest": 3.0}
        choices = []
        for _ in range(500):
            choices.append(policy.choose(0, {"promising": 1.0, "honest": 3.0}))
            policy.update(0, choices[-1], costs[choices[-1]])
        assert choices[0] == "promising"
        assert choices.count("promising") <= 3

    @pytest.mark.parametrize("seed", range(5))
    def test_learning_costs_little_where_costs_are_noisy(self, seed):
        random = np.random.default_rng(seed)
        policy, regrets = OptimisticPolicy(), np.zeros(4000)
        means = {"a": 1.0, "b": 1.2, "c": 2.0}
        for turn in range(4000):
            arm = policy.choose(None, dict.fromkeys(means, 0.1))
            policy.update(None, arm, means[arm] * math.exp(0.2 * random.standard_normal()))
            regrets[turn] = means[arm] - 1.0
        assert regrets.sum() < 0.01 * 4000

    def test_contexts_learn_apart(self):
        policy = OptimisticPolicy()
        for _ in range(10):
            policy.update("waves", "multigrid", 100.0)
        least_costs = {"multigrid": 1.0, "direct": 10.0}
        assert policy.choose("waves", least_costs) == "direct"
        assert policy.choose("flow", least_costs) == "multigrid"

    @pytest.mark.parametrize("cost", [math.nan, math.inf, -1.0])
    def test_a_cost_that_is_none_is_refused(self, cost):
        with pytest.raises(ValueError, match="cost must be"):
            OptimisticPolicy().update(0, "arm", cost)

    def test_there_must_be_an_arm(self):
        with pytest.raises(ValueError, match="no arm"):
            OptimisticPolicy().choose(0, {})


def features_of(matrix):
    return look_at(matrix, Pattern(matrix))


class TestFeatures:
    def test_they_are_what_the_matrix_is(self):
        features = features_of(poisson(12))
        assert (features.size, features.entries) == (144, 5 * 144 - 48)
        assert features.symmetric
        assert features.dominant
        assert (features.skewness, features.anisotropy, features.contrast) == (0.0, 1.0, 1.0)

    def test_convection_shows_as_skewness(self):
        assert features_of(convection_diffusion(12, 0.4)).skewness == pytest.approx((0.4 + 0.2) / 2, rel=0.05)

    def test_waves_are_not_dominant_and_stretched_grids_not_isotropic(self):
        (wave,) = FAMILIES["waves"](1)
        assert not features_of(wave.matrix).dominant
        stretched = canonical(poisson(12))
        across = np.abs(np.repeat(np.arange(144), np.diff(stretched.indptr)) - stretched.indices) == 12
        stretched.data[across] *= 100.0
        assert features_of(stretched).anisotropy == 100.0

    def test_a_repeated_matrix_is_another_kind_of_system(self):
        features = features_of(poisson(12))
        assert replace(features, repeated=True).context != features.context

    def test_scaling_a_matrix_leaves_its_context(self):
        matrix = convection_diffusion(12)
        assert features_of(canonical(1e-6 * matrix)).context == features_of(matrix).context

    def test_numbers_that_are_not_finite_have_a_context_too(self):
        matrix = poisson(6)
        matrix.data[:] = np.nan
        assert hash(features_of(matrix).context)


class TestArms:
    @pytest.mark.parametrize("name", ARM_NAMES)
    def test_a_solver_costs_at_least_what_it_said(self, name):
        for make in FAMILIES.values():
            (one,) = make(1)
            features = features_of(one.matrix)
            (arm,) = (arm for arm in make_arms() if arm.name == name)
            least = arm.least_cost(features)
            if least is None:
                continue
            (result,) = arm.solve([one], 1e-8)
            if result.converged:
                assert arm.cost(features, result.work) >= least > 0.0

    def test_lanes_cost_less_where_factors_are_kept_and_more_where_there_are_two(self):
        (lanes,) = (arm for arm in make_arms() if arm.name == "lanes")
        once = features_of(poisson(40))
        assert lanes.least_cost(replace(once, repeated=True)) < 0.5 * lanes.least_cost(once)
        assert lanes.least_cost(once) < lanes.least_cost(features_of(convection_diffusion(40)))

    def test_a_batch_shares_the_factorisation_in_double_precision(self):
        (lanes,) = (arm for arm in make_arms() if arm.name == "lanes")
        hard = systems_of("darcy-thresholded", 16, grid=48, high=1e7, low=1.0)
        results = lanes.solve(hard, 1e-10)
        rescued = sum(result.work["factorizations"] > 1 for result in results)
        assert 0 < rescued < 16
        features = [features_of(one.matrix) for one in hard]
        costs = lanes.costs(features, results)
        assert len(set(costs)) == 1
        assert costs[0] == (1 + math.ceil(rescued / 8)) * lanes.least_cost(features[0])

    def test_only_grids_have_dimensions(self):
        assert Pattern(poisson(5)).dimensions == 2
        assert Pattern(FAMILIES["irregular"](1)[0].matrix).dimensions == 0

    def test_the_estimate_for_grids_is_near_what_the_analysis_finds(self):
        matrix = poisson(48)
        estimated = Pattern(matrix).multiplications
        unknown = Pattern(matrix)
        unknown.dimensions = 0
        assert 0.5 < estimated / unknown.multiplications < 2.0


class TestSequence:
    @pytest.mark.parametrize("family", FAMILIES)
    @pytest.mark.parametrize("tolerance", [1e-6, 1e-12])
    def test_every_system_is_solved_to_the_tolerance(self, family, tolerance):
        systems = FAMILIES[family](20)
        for one, result in zip(systems, solved(systems, tolerance=tolerance), strict=True):
            assert result.converged
            assert residual(one, result) <= tolerance
            expected = spsolve(one.matrix.tocsc(), one.rhs)
            assert np.linalg.norm(result.value - expected) <= 1e5 * tolerance * np.linalg.norm(expected)

    @pytest.mark.parametrize("arm", ARM_NAMES)
    def test_a_fixed_choice_is_kept_where_it_applies(self, arm):
        results = solved(FAMILIES["darcy"](3), arms=[arm])
        assert all(result.converged for result in results)
        applies = arm not in {"grid-multigrid-3d", "bicgstab-ilu0", "amg-gmres"}
        assert (names(results, "chosen") == [arm] * 3) == applies

    def test_the_same_systems_get_the_same_choices_and_bytes(self):
        systems = [one for make in FAMILIES.values() for one in make(6)]
        first, second = solved(systems), solved(systems)
        assert names(first, "chosen") == names(second, "chosen")
        assert all(a.value.tobytes() == b.value.tobytes() for a, b in zip(first, second, strict=True))

    def test_families_in_turn_are_told_apart(self):
        flows = systems_of("darcy-lognormal", 12, grid=64)
        waves = systems_of("helmholtz", 12, grid=65, wave_number=20.0)
        chosen = names(solved([one for pair in zip(flows, waves, strict=True) for one in pair]), "chosen")
        assert chosen == ["grid-multigrid", "lanes"] * 12

    def test_of_a_repeated_matrix_the_factors_are_kept(self):
        results = solved(systems_of("poisson", 40, grid=48))
        assert names(results, "chosen") == ["grid-multigrid"] * 2 + ["lanes"] * 38
        assert sum(result.work["cost"] for result in results[18:]) < 0.4 * sum(
            result.work["cost"] for result in solved(systems_of("poisson", 40, grid=48), arms=["grid-multigrid"])[18:]
        )

    def test_a_matrix_that_its_owner_changes_in_place_is_looked_at_again(self):
        symmetric, other = (
            systems_of("helmholtz", 1, grid=16, wave_number=12.0)[0].matrix,
            convection_diffusion(15, 0.8),
        )
        matrix, solver = symmetric.copy(), AdaptiveSolver(["amg-gmres"])
        chosen = []
        for data in (symmetric.data, symmetric.data, symmetric.data, other.data, other.data, symmetric.data):
            matrix.data[:] = data
            [(_, result)] = solver.solve([system(matrix, np.ones(225))], 1e-8)
            assert np.linalg.norm(matrix @ result.value - 1.0) <= 1e-8 * 15
            chosen += names([result], "chosen")
        # algebraic multigrid with GMRES is for matrices that are not symmetric
        assert [name == "amg-gmres" for name in chosen] == [False, False, False, True, True, False]

    def test_matrices_repeated_twice_only_do_not_look_as_if_factors_were_kept(self):
        flows = [one for one in systems_of("darcy-lognormal", 40, grid=64) for _ in range(2)]
        chosen = names(solved(flows), "chosen")
        assert chosen[::2] == ["grid-multigrid"] * 40
        assert chosen[33::2] == ["grid-multigrid"] * 24

    def test_symmetric_and_other_matrices_in_turn_fill_their_own_lanes(self, monkeypatch):
        symmetric, other = FAMILIES["darcy"](16), FAMILIES["convection"](16)
        batches, factorize = [], LaneFactors.factorize

        def count(self, data, *arguments):
            batches.append(len(data))
            factorize(self, data, *arguments)

        monkeypatch.setattr(LaneFactors, "factorize", count)
        results = solved([one for pair in zip(symmetric, other, strict=True) for one in pair], arms=["lanes"])
        assert all(result.converged for result in results)
        assert batches == [16, 16]

    def test_what_fails_is_done_by_another_and_counted(self):
        (waves,) = systems_of("helmholtz", 1, grid=64, wave_number=40.0)
        (result,) = solved([waves], arms=["recycling-10"])
        assert result.converged
        assert residual(waves, result) <= 1e-8
        assert (names([result], "chosen"), names([result], "solver")) == (["recycling-10"], ["lanes"])
        assert result.work["fallbacks"] == 1

    def test_what_nothing_solves_is_returned_as_the_best_that_was_found(self):
        (hard,) = systems_of("darcy-thresholded", 1, grid=32, high=1e8, low=1e-8)
        (result,) = solved([hard], arms=["recycling-10"], tolerance=1e-12)
        assert not result.converged
        assert 1 <= result.work["fallbacks"] < len(ARM_NAMES) - 2  # it ends where rounding is what is left
        assert residual(hard, result) == pytest.approx(result.history[-1], rel=0.5)

    def test_it_costs_little_more_than_the_best_fixed_choice(self):
        for make in FAMILIES.values():
            systems = make(60)
            chosen = sum(result.work["cost"] for result in solved(systems))
            fixed = {
                arm: sum(result.work["cost"] for result in solved(systems, arms=[arm]))
                for arm in ("grid-multigrid", "lanes", "cg-ic0", "amg-cg")
            }
            assert chosen <= 1.25 * min(fixed.values()), fixed

    def test_a_singular_system_says_so_and_the_rest_goes_on(self):
        singular = poisson(6)
        singular.data[singular.indptr[7] : singular.indptr[8]] = 0.0
        systems = [system(poisson(6), np.ones(36)), system(singular, np.ones(36)), system(poisson(6), np.ones(36))]
        results = solved(systems)
        assert [result.converged for result in results] == [True, False, True]
        assert results[1].work["fallbacks"] >= 2

    def test_nan_is_named_and_not_tried_everywhere(self):
        broken = poisson(6)
        broken.data[3] = np.nan
        (result,) = solved([system(broken, np.ones(36))])
        assert result.status is Status.NOT_FINITE
        assert result.work["fallbacks"] <= 2

    def test_any_size_and_pattern_can_follow_any_other(self):
        systems = [system(random_dominant(size, size), np.ones(size)) for size in (1, 5, 12, 5, 1)]
        assert all(result.converged for result in solved(systems))

    def test_no_systems_no_results(self):
        assert list(adaptive_sequence([])) == []

    @pytest.mark.parametrize("arms", [[], ["no-such-solver"]])
    def test_unknown_solvers_are_refused(self, arms):
        with pytest.raises(ValueError, match="arms must be some of"):
            AdaptiveSolver(arms)

    @pytest.mark.parametrize("tolerance", [0.0, math.nan, -1.0])
    def test_a_tolerance_that_is_none_is_refused(self, tolerance):
        with pytest.raises(ValueError, match="tolerance"):
            solved([system(poisson(4), np.ones(16))], tolerance=tolerance)
