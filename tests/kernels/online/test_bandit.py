import pickle

import numpy as np
import pytest

from kernels.online import BANDITS, UCB1, Binned, EpsilonGreedy, TsallisInf, build_bandit

ARMS = 4
names = pytest.mark.parametrize("name", BANDITS)


def costs_of(context, random, scale=1.0):
    """Arm 2 is the best on average, arm 0 for small contexts."""
    means = np.array([20.0 + 60.0 * context, 60.0, 40.0, 90.0])
    return scale * (means + random.uniform(0.0, 10.0, ARMS))


def play(bandit, rounds, seed=0, scale=1.0):
    """The arms chosen and the costs of all arms, round by round."""
    environment, own = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    chosen, table = [], []
    for _ in range(rounds):
        context = environment.random()
        costs = costs_of(context, environment, scale)
        chosen.append(bandit.choose(context, own))
        table.append(costs)
        bandit.update(chosen[-1], context, costs[chosen[-1]])
    return np.array(chosen), np.array(table)


@names
def test_the_first_choice_follows_a_distribution_over_all_arms(name):
    probabilities = build_bandit(name, ARMS).probabilities(0.5)
    assert probabilities.shape == (ARMS,)
    assert probabilities.sum() == pytest.approx(1.0)
    assert (probabilities >= 0.0).all()


@names
def test_the_probabilities_stay_a_distribution(name):
    bandit = build_bandit(name, ARMS, least_cost=1.0)
    play(bandit, 200)
    for context in (0.0, 0.3, 1.0):
        probabilities = bandit.probabilities(context)
        assert probabilities.sum() == pytest.approx(1.0)
        assert (probabilities >= 0.0).all()


@names
def test_arms_are_drawn_as_often_as_the_probabilities_say(name):
    bandit, random = build_bandit(name, ARMS), np.random.default_rng(0)
    play(bandit, 50)
    counts = np.bincount([bandit.choose(0.4, random) for _ in range(4000)], minlength=ARMS)
    np.testing.assert_allclose(counts / 4000, bandit.probabilities(0.4), atol=0.03)


@names
def test_the_same_random_stream_gives_the_same_choices(name):
    first, second = (play(build_bandit(name, ARMS), 100)[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)


@names
@pytest.mark.parametrize("scale", [2.0**-20, 2.0**20])
def test_the_unit_of_the_costs_does_not_matter(name, scale):
    expected, _ = play(build_bandit(name, ARMS), 150)
    chosen, _ = play(build_bandit(name, ARMS), 150, scale=scale)
    np.testing.assert_array_equal(chosen, expected)


@pytest.mark.parametrize("name", [name for name in BANDITS if name != "chebcb"])  # it bounds the whole mean cost
def test_a_known_least_cost_only_shifts_the_costs(name):
    costs, random = np.random.default_rng(0), np.random.default_rng(1)
    plain, shifted = build_bandit(name, ARMS), build_bandit(name, ARMS, least_cost=8.0)
    for _ in range(100):
        arm, cost = plain.choose(0.5, random), float(costs.integers(0, 50))
        plain.update(arm, 0.5, cost)
        shifted.update(arm, 0.5, cost + 8.0)
    np.testing.assert_array_equal(plain.probabilities(0.5), shifted.probabilities(0.5))


@names
def test_learners_cost_less_than_uniform_choice(name):
    chosen, table = play(build_bandit(name, ARMS), 1500)
    paid = table[np.arange(1500), chosen][-300:].mean()
    if name == "uniform":
        assert paid == pytest.approx(table[-300:].mean(), rel=0.1)
    else:
        assert paid < 0.9 * table[-300:].mean()


@pytest.mark.parametrize("name", ["chebcb", "binned_tsallis_inf"])
def test_contextual_bandits_beat_the_best_single_arm(name):
    chosen, table = play(build_bandit(name, ARMS), 4000)
    assert table[np.arange(4000), chosen][-500:].mean() < table[-500:].mean(axis=0).min()


@names
def test_one_arm_is_always_chosen(name):
    bandit = build_bandit(name, 1)
    for cost in (3.0, 0.0, 7.0):
        assert bandit.choose(0.2, np.random.default_rng(0)) == 0
        bandit.update(0, 0.2, cost)


@names
@pytest.mark.parametrize("cost", [0.0, 5.0])
def test_equal_costs_cause_no_warning(name, cost):
    bandit, random = build_bandit(name, ARMS), np.random.default_rng(0)
    for context in np.linspace(0.0, 1.0, 30):
        bandit.update(bandit.choose(context, random), context, cost)
    assert np.isfinite(bandit.probabilities(0.5)).all()


@names
def test_a_bandit_survives_pickle(name):
    bandit = build_bandit(name, ARMS)
    play(bandit, 20)
    again = pickle.loads(pickle.dumps(bandit))
    np.testing.assert_array_equal(again.probabilities(0.3), bandit.probabilities(0.3))


def test_each_bin_has_a_learner_of_its_own():
    bandit = build_bandit("binned_tsallis_inf", ARMS, interval=(-1.0, 1.0))
    bandit.update(1, -1.0, 100.0)
    assert bandit.probabilities(-0.9)[1] < 0.25
    for context in (-0.5, 0.0, 0.5, 1.0):
        np.testing.assert_array_equal(bandit.probabilities(context), 0.25)


def test_ucb1_plays_every_arm_once_first():
    bandit, random = UCB1(5), np.random.default_rng(0)
    played = []
    for _ in range(5):
        played.append(bandit.choose(0.0, random))
        bandit.update(played[-1], 0.0, 1.0)
    assert played == [0, 1, 2, 3, 4]


def test_ucb1_prefers_the_least_lower_bound():
    bandit = UCB1(2)
    plays = [(0, 4.0), (1, 6.0), (0, 4.0), (0, 4.0), (0, 10.0)]
    for arm, cost in plays:
        bandit.update(arm, 0.0, cost)
    lower = np.array([5.5, 6.0]) - 10.0 * np.sqrt(2.0 * np.log(5.0) / np.array([4.0, 1.0]))
    assert bandit.probabilities(0.0)[lower.argmin()] == 1.0


def test_epsilon_greedy_shares_epsilon_and_gives_the_rest_to_the_best_mean():
    bandit = EpsilonGreedy(4, epsilon=0.2)
    for arm, cost in enumerate([3.0, 1.0, 2.0, 4.0]):
        bandit.update(arm, 0.0, cost)
    np.testing.assert_allclose(bandit.probabilities(0.0), [0.05, 0.85, 0.05, 0.05])


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: build_bandit("thompson", 3), "name must be one of"),
        (lambda: build_bandit("ucb1", 0), "arms must be an integer at least 1, not 0"),
        (lambda: build_bandit("ucb1", 3, least_cost=np.nan), "least_cost must be finite, not nan"),
        (lambda: build_bandit("chebcb", 3, interval=(1.0, 1.0)), "interval must be two finite numbers"),
        (lambda: build_bandit("chebcb", 3, interval=(0.0, np.inf)), "interval must be two finite numbers"),
        (lambda: EpsilonGreedy(3, epsilon=1.1), "epsilon must lie between 0 and 1, not 1.1"),
        (lambda: Binned([], (0.0, 1.0)), "bandits must all have the same arms"),
        (lambda: Binned([TsallisInf(2), TsallisInf(3)], (0.0, 1.0)), "bandits must all have the same arms"),
    ],
)
def test_bad_options_are_refused_by_name(make, named):
    with pytest.raises(ValueError, match=named):
        make()


@names
@pytest.mark.parametrize(
    ("arm", "cost", "named"),
    [(4, 2.0, "arm"), (-1, 2.0, "arm"), (0, np.nan, "cost"), (0, np.inf, "cost"), (0, 0.5, "cost must be finite and")],
)
def test_a_round_that_cannot_be_is_refused(name, arm, cost, named):
    bandit = build_bandit(name, ARMS, least_cost=1.0)
    before = bandit.probabilities(0.5)
    with pytest.raises(ValueError, match=named):
        bandit.update(arm, 0.5, cost)
    np.testing.assert_array_equal(bandit.probabilities(0.5), before)


@pytest.mark.parametrize("name", ["chebcb", "binned_tsallis_inf"])
@pytest.mark.parametrize("context", [-0.01, 1.01, np.nan])
def test_a_context_outside_the_interval_is_refused(name, context):
    bandit = build_bandit(name, ARMS)
    with pytest.raises(ValueError, match="context must lie in the interval"):
        bandit.choose(context, np.random.default_rng(0))
    with pytest.raises(ValueError, match="context must lie in the interval"):
        bandit.update(0, context, 1.0)
