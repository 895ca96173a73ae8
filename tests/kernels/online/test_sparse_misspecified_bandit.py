from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.budget import Budget
from kernels.online.design_least_squares import g_optimal_elimination, g_optimal_least_squares
from kernels.online.misspecified_bandit import Queries
from kernels.online.query_baselines import exhaustive_search, lin_ucb, sparse_regression, uniform_search
from kernels.online.sparse_cover import cover_directions, sparse_cover, sphere_net
from kernels.online.sparse_elimination import sparse_elimination
from kernels.result import Status


@dataclass(frozen=True)
class Bandit:
    arms: np.ndarray
    rewards: np.ndarray
    misspecification: float = 0.1
    sparsity: int = 2


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def bandit(seed=0, arms=300, dimension=6, sparsity=2, eps=0.1, errors="signs", length=1.0):
    random = np.random.default_rng(seed)
    features = unit(random.standard_normal((arms, dimension)))
    theta = np.zeros(dimension)
    theta[random.choice(dimension, sparsity, replace=False)] = length * unit(random.standard_normal(sparsity))
    eta = {
        "signs": eps * random.choice([-1.0, 1.0], arms),
        "zero": np.zeros(arms),
        "against": -eps * np.sign(features @ theta),
    }[errors]
    return Bandit(features, features @ theta + eta, eps, sparsity)


def budget(queries=40):
    return Budget({"queries": queries})


def random():
    return np.random.default_rng(1)


METHODS = {
    "cover": lambda b, _=0: sparse_cover(b),
    "elimination": lambda b, _=0: sparse_elimination(b),
    "least squares": lambda b, q=40: g_optimal_least_squares(b, budget=budget(q)),
    "design elimination": lambda b, q=40: g_optimal_elimination(b, budget=budget(q)),
    "lasso": lambda b, q=40: sparse_regression(b, random=random(), budget=budget(q)),
    "pursuit": lambda b, q=40: sparse_regression(b, random=random(), budget=budget(q), estimator="matching_pursuit"),
    "lin-ucb": lambda b, q=40: lin_ucb(b, budget=budget(q)),
    "uniform": lambda b, q=40: uniform_search(b, random=random(), budget=budget(q)),
    "exhaustive": lambda b, _=0: exhaustive_search(b),
}


def loss(b, result):
    return b.rewards.max() / b.misspecification - result.value[1]


@pytest.mark.parametrize(("dimension", "radius"), [(1, 0.1), (2, 0.3), (2, 0.05), (3, 0.2), (4, 0.6), (3, 5.0)])
def test_no_point_of_the_sphere_is_farther_than_the_radius_from_the_net(dimension, radius):
    net = sphere_net(dimension, radius)
    points = unit(np.random.default_rng(0).standard_normal((4000, dimension)))
    nearest = np.sqrt(np.maximum(2.0 - 2.0 * (points @ net.T).max(axis=1), 0.0))
    assert nearest.max() <= radius
    np.testing.assert_allclose(np.linalg.norm(net, axis=1), 1.0)
    assert len(net) == 2 * dimension * max(1, np.ceil(np.sqrt(dimension - 1) / radius)) ** (dimension - 1)


@pytest.mark.parametrize(("arms", "dimension", "sparsity"), [(40, 5, 2), (900, 6, 2), (500, 4, 3), (30, 4, 1)])
def test_the_cover_finds_the_arms_of_brute_force(arms, dimension, sparsity):
    features = bandit(arms=arms, dimension=dimension).arms
    cover = cover_directions(features, sparsity, 0.2)
    assert cover.supports.tolist() == [list(support) for support in combinations(range(dimension), sparsity)]
    products = np.einsum("nms,ks->mkn", features[:, cover.supports], cover.net)
    np.testing.assert_array_equal(cover.best_arms, products.argmax(axis=2))
    np.testing.assert_allclose(cover.greatest, products.max(axis=2), rtol=1e-13)


def test_of_arms_as_good_as_each_other_the_cover_takes_the_first():
    features = np.repeat(np.eye(3), 400, axis=0)[::-1].copy()
    features = np.concatenate([np.zeros((5, 3)), features])  # arms that tie in every negative direction
    cover = cover_directions(features, 2, 0.4)
    products = np.einsum("nms,ks->mkn", features[:, cover.supports], cover.net)
    np.testing.assert_allclose(cover.greatest, products.max(axis=2), rtol=1e-13)
    np.testing.assert_array_equal(cover.best_arms, products.argmax(axis=2))


@given(
    st.integers(0, 1000),
    st.sampled_from([1, 2, 3]),
    st.sampled_from([0.07, 0.2]),
    st.sampled_from(["signs", "zero", "against"]),
    st.sampled_from([1.0, 0.3]),
)
@settings(max_examples=60, derandomize=True, deadline=None)
def test_cover_and_elimination_are_within_four_eps_and_elimination_asks_only_arms_of_the_cover(
    seed, sparsity, eps, errors, length
):
    b = bandit(seed, arms=120, dimension=5, sparsity=sparsity, eps=eps, errors=errors, length=length)
    cover, elimination = sparse_cover(b), sparse_elimination(b)
    for result in (cover, elimination):
        assert result.status is Status.CONVERGED
        assert loss(b, result) <= 4.0 + 1e-9
        assert b.rewards[int(result.value[0])] / eps == result.value[1]
    assert elimination.work["queries"] <= cover.work["queries"] <= min(cover.work["candidates"], 120)
    assert elimination.value[1] <= cover.value[1]


def test_the_cover_returns_the_best_of_the_arms_that_are_best_along_a_direction():
    b = bandit()
    chosen = np.unique(cover_directions(b.arms, 2, b.misspecification).best_arms)
    result = sparse_cover(b)
    assert result.work["queries"] == chosen.size
    assert result.value[0] == chosen[b.rewards[chosen].argmax()]
    np.testing.assert_allclose(result.history, np.maximum.accumulate(b.rewards[chosen])[:257] / 0.1)


def test_elimination_says_so_where_the_errors_are_larger_than_stated():
    b = bandit(arms=2000)
    far_off = replace(b, rewards=np.where(np.arange(2000) % 2, -1.0, 1.0), misspecification=0.02)
    assert sparse_elimination(far_off).status is Status.BREAKDOWN


@pytest.mark.parametrize("method", [sparse_cover, sparse_elimination])
def test_a_budget_that_ends_before_is_kept_and_promises_nothing(method):
    limit = budget(1)
    result = method(bandit(eps=0.02), budget=limit)
    assert result.status is Status.ITERATION_LIMIT
    assert result.work["queries"] == limit.spent["queries"] == 1
    assert method(bandit(), budget=budget(10**6)).status is Status.CONVERGED


@pytest.mark.parametrize("estimator", ["lasso", "matching_pursuit"])
def test_sparse_regression_finds_the_best_arm_where_the_model_is_exact(estimator):
    b = bandit(arms=1500, dimension=12, errors="zero", eps=1e-3)
    result = sparse_regression(b, random=random(), budget=budget(), estimator=estimator)
    assert result.value[0] == b.rewards.argmax()


@pytest.mark.parametrize("name", ["least squares", "design elimination", "lin-ucb"])
def test_regression_finds_the_best_arm_where_the_model_is_exact(name):
    b = bandit(arms=1500, errors="zero", eps=1e-6)
    assert METHODS[name](b).value[0] == b.rewards.argmax()


@given(st.integers(0, 1000), st.sampled_from(["signs", "against"]))
@settings(max_examples=25, derandomize=True, deadline=None)
def test_least_squares_keeps_the_bound_of_its_design(seed, errors):
    b = bandit(seed, dimension=4, errors=errors)
    assert loss(b, g_optimal_least_squares(b)) <= 2.0 * (1.0 + np.sqrt(2.0 * 4))
    assert loss(b, g_optimal_elimination(b)) <= 2.0 * (1.0 + np.sqrt(2.0 * 4))


def test_phases_drop_arms_only_where_that_is_certain():
    b = bandit(eps=0.01)
    result = g_optimal_elimination(b)
    assert result.work["phases"] > 1
    assert loss(b, result) < loss(b, uniform_search(b, random=random(), budget=budget(10)))


@pytest.mark.parametrize("name", ["lasso", "pursuit", "lin-ucb", "uniform"])
def test_baselines_spend_their_budget_and_return_an_arm_that_they_saw(name):
    b = bandit()
    result = METHODS[name](b)
    assert result.work["queries"] in (39, 40)  # the predicted arm may have been in the sample
    assert result.value[1] == b.rewards[int(result.value[0])] / b.misspecification
    assert result.history[-1] == result.value[1]


@pytest.mark.parametrize("name", ["lasso", "pursuit", "lin-ucb", "uniform", "least squares", "design elimination"])
@pytest.mark.parametrize("queries", [1, 5, 10**6])
def test_baselines_take_any_budget(name, queries):
    b = bandit(arms=60)
    result = METHODS[name](b, queries)
    assert 1 <= result.work["queries"] <= min(queries, 60)
    assert result.status is not Status.CONVERGED


def test_lin_ucb_is_that_of_the_textbook_without_updates():
    b = bandit(arms=80, dimension=5)
    seen = []
    for _ in range(15):
        moment = np.eye(5) + b.arms[seen].T @ b.arms[seen]
        theta = np.linalg.solve(moment, b.arms[seen].T @ b.rewards[seen])
        width = np.sqrt(np.einsum("ij,ij->i", b.arms @ np.linalg.inv(moment), b.arms))
        bounds = b.arms @ theta + (1.0 + 0.1 * np.sqrt(len(seen))) * width
        bounds[seen] = -np.inf
        seen.append(int(bounds.argmax()))
    result = lin_ucb(b, budget=budget(15))
    np.testing.assert_allclose(result.history, np.maximum.accumulate(b.rewards[seen]) / 0.1)


def test_exhaustive_search_finds_the_optimum():
    b = bandit()
    assert exhaustive_search(b).value.tolist() == [b.rewards.argmax(), b.rewards.max() / 0.1]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_data_that_are_not_finite_end_as_such(name, bad):
    b = bandit(arms=60)
    rewards, arms = b.rewards.copy(), b.arms.copy()
    rewards[3] = arms[5, 1] = bad
    for broken in (replace(b, rewards=rewards), replace(b, arms=arms)):
        assert METHODS[name](broken).status is Status.NOT_FINITE


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": np.empty((0, 3)), "rewards": np.empty(0)}, "arms must be"),
        ({"arms": np.ones(4)}, "arms must be"),
        ({"arms": np.eye(6, dtype=np.float32)}, "arms must be"),
        ({"arms": 2.0 * np.eye(6), "rewards": np.ones(6)}, "norms of at most 1"),
        ({"rewards": np.ones(7)}, "rewards must be"),
        ({"sparsity": 0}, "sparsity must be"),
        ({"sparsity": 7}, "sparsity must be"),
        ({"misspecification": 0.0}, "misspecification must be"),
        ({"misspecification": np.nan}, "misspecification must be"),
    ],
)
def test_a_bandit_that_is_not_one_is_refused(name, changes, message):
    with pytest.raises(ValueError, match=message):
        METHODS[name](replace(bandit(), **changes))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sphere_net(0, 0.1), "dimension must be"),
        (lambda: sphere_net(2, 0.0), "radius must be"),
        (lambda: sphere_net(2, np.nan), "radius must be"),
        (lambda: sphere_net(6, 0.01), "too small"),
        (lambda: cover_directions(np.eye(60), 4, 0.1), "too small"),
        (lambda: cover_directions(np.eye(3), 4, 0.1), "sparsity must be"),
        (lambda: sparse_cover(bandit(), budget=budget(0)), "budget must leave"),
        (lambda: lin_ucb(bandit(), budget=budget(), ridge=0.0), "ridge must be"),
        (lambda: sparse_regression(bandit(), random=random(), budget=budget(), estimator="ols"), "estimator must be"),
        (lambda: Queries(bandit()).rewards(np.array([3])), "must have been queried"),
    ],
)
def test_options_out_of_range_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_arm_is_charged_once():
    limits = budget(4)
    queries = Queries(bandit(), limits)
    assert queries.ask(np.array([5, 2, 5]))
    assert queries.ask(np.array([2]))
    assert not queries.ask(np.array([7, 8, 9]))
    assert (limits.spent["queries"], queries.left, queries.arms.tolist()) == (2, 2, [2, 5])
    assert queries.knows(5)
    assert not queries.knows(7)
    assert queries.best_reward == bandit().rewards[[2, 5]].max()
