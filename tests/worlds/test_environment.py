import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from tiny_worlds import world_of

from irecgan.worlds.environment import ENVIRONMENT_ID, SlateMDPEnv, SlateMDPVectorEnv
from irecgan.worlds.mdp import draw_world
from irecgan.worlds.oracle import max_values


def test_gymnasiums_checker_passes() -> None:
    check_env(gymnasium.make(ENVIRONMENT_ID).unwrapped)
    world = draw_world("dirichlet:0.1", states=3, items=5, slate_size=2, seed=1)
    check_env(gymnasium.make(ENVIRONMENT_ID, world=world).unwrapped)


def test_it_is_found_by_its_module_and_takes_a_world() -> None:
    world = draw_world("softmax", states=2, items=4, slate_size=3, seed=0)
    env = gymnasium.make("irecgan.worlds.environment:irecgan/SlateMDP-v0", world=world)
    assert env.action_space == gymnasium.spaces.MultiDiscrete([4, 4, 4])
    assert env.observation_space == gymnasium.spaces.Discrete(5)
    observation, info = env.reset(seed=1)
    assert (observation, info) == (4, {"hidden": 0})


def test_a_step_needs_a_reset() -> None:
    for env in (SlateMDPEnv(), SlateMDPVectorEnv(1)):
        with pytest.raises(gymnasium.error.ResetNeeded):
            env.step(np.zeros((1, 10), dtype=np.int64))


def test_an_item_named_twice_counts_once() -> None:
    # Were the repeats counted, item 1 would be the candidate in one draw of four, not of two.
    world = world_of([[1.0, 1.0]], [[[1.0], [1.0]]], slate_size=2)
    world.slate_size = 4
    envs = SlateMDPVectorEnv(20_000, world)
    envs.reset(seed=0)
    clicks, *_ = envs.step(np.tile([0, 0, 1, 0], (20_000, 1)))
    assert clicks.mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ([0, 4], "found item 4; expected 0 to 3"),
        ([0, -1], "found item -1; expected 0 to 3"),
        ([0, 1, 2], r"found int64 of shape \(3,\); expected integers of shape \(2,\)"),
        ([[0, 1]], r"found int64 of shape \(1, 2\); expected integers of shape \(2,\)"),
        ([0.5, 1.0], "found float64 of shape"),
    ],
)
def test_what_is_no_slate_is_refused(action: list[int], message: str) -> None:
    world = draw_world("softmax", states=2, items=4, slate_size=2, seed=0)
    env, envs = SlateMDPEnv(world), SlateMDPVectorEnv(2, world)
    env.reset(seed=0)
    envs.reset(seed=0)
    with pytest.raises(gymnasium.error.InvalidAction, match=f"action: {message}"):
        env.step(np.array(action))
    with pytest.raises(gymnasium.error.InvalidAction, match="action: found"):
        envs.step(np.array([action, action]))


def test_after_an_end_any_action_is_ignored() -> None:
    envs = SlateMDPVectorEnv(2, world_of([[0.0, 1.0]], [[[1.0], [1.0]]], slate_size=1))
    envs.reset(seed=0)
    assert envs.step(np.array([[0], [1]]))[2].tolist() == [True, False]
    with pytest.raises(gymnasium.error.InvalidAction, match="found item 9; expected 0 to 1"):
        envs.step(np.array([[9], [9]]))
    assert envs.step(np.array([[9], [1]]))[0].tolist() == [2, 1]


def test_sessions_are_cut_at_the_longest_length() -> None:
    world = world_of([[1.0]], [[[1.0]]], slate_size=1)
    env = SlateMDPEnv(world, max_steps=3)
    env.reset(seed=0)
    cuts = [env.step(np.array([0]))[2:4] for _ in range(3)]
    assert cuts == [(False, False), (False, False), (False, True)]


def test_the_vector_form_is_made_by_gymnasium() -> None:
    envs = gymnasium.make_vec(ENVIRONMENT_ID, num_envs=7, vectorization_mode="vector_entry_point")
    assert isinstance(envs, SlateMDPVectorEnv)
    assert envs.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    observation, info = envs.reset(seed=3)
    assert observation in envs.observation_space
    assert info["hidden"].tolist() == [0] * 7
    envs.action_space.seed(0)
    for _ in range(20):
        observation, reward, terminated, truncated, info = envs.step(envs.action_space.sample())
        assert observation in envs.observation_space
        assert {x.shape for x in (reward, terminated, truncated, info["hidden"])} == {(7,)}
        assert {terminated.dtype, truncated.dtype} == {np.dtype(bool)}


def test_both_forms_keep_the_same_law_of_restarts() -> None:
    """After an end: the next step ignores its action, gives nothing, and shows the first observation."""
    world = world_of([[0.0, 1.0]], [[[1.0], [1.0]]], slate_size=1)
    kept = {}
    for mode in ("vector_entry_point", "sync"):
        envs = gymnasium.make_vec(ENVIRONMENT_ID, num_envs=2, vectorization_mode=mode, world=world, max_steps=2)
        envs.reset(seed=0)
        actions = [[[1], [0]], [[1], [1]], [[1], [1]], [[1], [1]]]
        kept[mode] = [[x.tolist() for x in envs.step(np.array(a))[:4]] for a in actions]
    assert kept["sync"] == kept["vector_entry_point"]
    assert kept["sync"][:2] == [
        [[1, 2], [1.0, 0.0], [False, True], [False, False]],
        [[1, 2], [1.0, 0.0], [False, False], [True, False]],
    ]


def test_same_seed_same_sessions() -> None:
    def play(seed: int) -> list[list[int]]:
        envs = SlateMDPVectorEnv(50)
        envs.reset(seed=seed)
        action = np.tile(np.arange(10), (50, 1))
        return [envs.step(action)[0].tolist() for _ in range(5)]

    assert play(1) == play(1)
    assert play(1) != play(2)


def test_the_return_of_the_max_policy_is_its_exact_value() -> None:
    world = draw_world("dirichlet:0.1", seed=2)
    slates = world.ranking[:, :10].numpy()
    envs = SlateMDPVectorEnv(5_000, world)
    _, info = envs.reset(seed=0)
    total, alive = np.zeros(5_000), np.ones(5_000, dtype=bool)
    while alive.any():
        _, reward, terminated, truncated, info = envs.step(slates[info["hidden"]])
        total += reward * alive
        alive &= ~(terminated | truncated)
    value = max_values(world)[0].item()
    assert total.mean() == pytest.approx(value, abs=4 * total.std() / 5_000**0.5)
    assert torch.get_default_dtype() == torch.float32
