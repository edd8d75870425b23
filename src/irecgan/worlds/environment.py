"""The simulated world as Gymnasium environments, for agents written elsewhere.

Importing this module registers ``irecgan/SlateMDP-v0``; ``gymnasium.make`` also takes the id with its
module, ``irecgan.worlds.environment:irecgan/SlateMDP-v0``, and then imports it itself.

An action is a slate: K item numbers; an item that is named again counts once, at its first place. The
observation is the item clicked last, ``n`` where there is none: before the first slate, and after the last.
The reward is 1 for a click; the session terminates when nothing is clicked and is truncated after
``max_steps`` slates. ``info["hidden"]`` is the true state, which a policy should not read.
"""

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray
from torch import Tensor

from irecgan.data.batch import NOTHING
from irecgan.worlds.mdp import MDPState, MDPWorld, draw_world

ENVIRONMENT_ID = "irecgan/SlateMDP-v0"

Integers = NDArray[np.int64]


class SlateMDPEnv(gymnasium.Env[np.int64, Integers]):
    """One session at a time in ``world``, by default the softmax world of seed 0 (10 states, 50 items)."""

    def __init__(self, world: MDPWorld | None = None, *, max_steps: int = 1000) -> None:
        self.world = draw_world("softmax", seed=0) if world is None else world
        self.max_steps = max_steps
        self.observation_space, self.action_space = _spaces(self.world)
        self._generator: torch.Generator | None = None
        self._state = self.world.start(1)
        self._steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.int64, dict[str, Any]]:
        """Begin a session; ``seed`` fixes all draws from here on. ``options`` are not used."""
        super().reset(seed=seed, options=options)
        if seed is not None or self._generator is None:
            self._generator = _generator(self.np_random)
        self._state, self._steps = self.world.start(1), 0
        return np.int64(self.world.catalogue_size), self._info()

    def step(self, action: Integers) -> tuple[np.int64, float, bool, bool, dict[str, Any]]:
        """Show the slate ``action`` (K,). Raises gymnasium's InvalidAction for anything but K item numbers."""
        if self._generator is None:
            raise gymnasium.error.ResetNeeded("reset the environment before its first step")
        slate = _slates(action, self.world, (self.world.slate_size,))[None]
        self._state, click, ended = _answer(self.world, self._state, slate, self._generator)
        self._steps += 1
        terminated = bool(ended)
        truncated = not terminated and self._steps >= self.max_steps
        return np.int64(int(click)), float(not terminated), terminated, truncated, self._info()

    def _info(self) -> dict[str, Any]:
        return {"hidden": int(self._state.state)}


class SlateMDPVectorEnv(VectorEnv[Integers, Integers, NDArray[Any]]):
    """``num_envs`` sessions of ``world`` at once, stepped as one batch.

    A session that has ended begins anew at the next step, which ignores its action and gives reward 0
    (Gymnasium's next-step autoreset).
    """

    metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012, the base class's form

    def __init__(self, num_envs: int, world: MDPWorld | None = None, *, max_steps: int = 1000) -> None:
        self.world = draw_world("softmax", seed=0) if world is None else world
        self.max_steps = max_steps
        self.num_envs = num_envs
        self.single_observation_space, self.single_action_space = _spaces(self.world)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._generator: torch.Generator | None = None
        self._state = self.world.start(num_envs)
        self._steps = torch.zeros(num_envs, dtype=torch.int64)
        self._over = torch.zeros(num_envs, dtype=torch.bool)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Integers, dict[str, Any]]:
        """Begin all sessions; ``seed`` fixes all draws from here on. ``options`` are not used."""
        super().reset(seed=seed, options=options)
        if seed is not None or self._generator is None:
            self._generator = _generator(self.np_random)
        self._state = self.world.start(self.num_envs)
        self._steps = torch.zeros_like(self._steps)
        self._over = torch.zeros_like(self._over)
        return np.full(self.num_envs, self.world.catalogue_size, dtype=np.int64), self._info()

    def step(self, actions: Integers) -> tuple[Integers, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Show the slates ``actions`` (B, K). Raises gymnasium's InvalidAction for anything but (B, K) item numbers."""
        if self._generator is None:
            raise gymnasium.error.ResetNeeded("reset the environment before its first step")
        fresh = self._over
        slate = _slates(actions, self.world, (self.num_envs, self.world.slate_size), ignored=fresh)
        state, click, ended = _answer(self.world, self._state, slate, self._generator)
        terminated = ended & ~fresh
        self._state = MDPState(torch.where(fresh, self.world.start_state, state.state))
        self._steps = torch.where(fresh, 0, self._steps + 1)
        truncated = ~terminated & ~fresh & (self._steps >= self.max_steps)
        self._over = terminated | truncated
        observation = torch.where(fresh, self.world.catalogue_size, click)
        reward = (~ended & ~fresh).double()
        return observation.numpy(), reward.numpy(), terminated.numpy(), truncated.numpy(), self._info()

    def _info(self) -> dict[str, Any]:
        return {"hidden": self._state.state.numpy().copy(), "_hidden": np.ones(self.num_envs, dtype=np.bool_)}


def _spaces(world: MDPWorld) -> tuple[spaces.Discrete, spaces.MultiDiscrete]:
    items = world.catalogue_size
    return spaces.Discrete(items + 1), spaces.MultiDiscrete([items] * world.slate_size)


def _generator(source: np.random.Generator) -> torch.Generator:
    return torch.Generator().manual_seed(int(source.integers(2**63)))


def _slates(action: Integers, world: MDPWorld, shape: tuple[int, ...], *, ignored: Tensor | None = None) -> Tensor:
    """``action`` as item numbers of that ``shape``; what is in the rows ``ignored`` (B,) may be no item."""
    found = np.asarray(action)
    if found.shape != shape or found.dtype.kind not in "iu":
        raise gymnasium.error.InvalidAction(
            f"action: found {found.dtype} of shape {found.shape}; expected integers of shape {shape}"
        )
    last = world.catalogue_size - 1
    strange = (found < 0) | (found > last)
    if ignored is not None:
        strange[ignored.numpy()] = False
    if strange.any():
        raise gymnasium.error.InvalidAction(f"action: found item {found[strange][0]}; expected 0 to {last}")
    return torch.as_tensor(found.clip(0, last).astype(np.int64))


def _answer(
    world: MDPWorld, state: MDPState, slate: Tensor, generator: torch.Generator
) -> tuple[MDPState, Tensor, Tensor]:
    """The states after ``slate`` (B, K), the clicks (B,) with n for none, and which sessions ended (B,)."""
    repeated = (slate[:, :, None] == slate[:, None, :]).tril(-1).any(2)  # (B, K)
    response = world.respond(state, slate, generator, ignored=repeated)
    ended = response.position == NOTHING
    click = slate.gather(1, response.position.clamp(min=0)[:, None]).squeeze(1)
    moved = world.advance(state, slate, click, generator)
    hidden = torch.where(ended, state.state, moved.state)
    return MDPState(hidden), torch.where(ended, world.catalogue_size, click), ended


if ENVIRONMENT_ID not in gymnasium.registry:
    gymnasium.register(
        ENVIRONMENT_ID,
        entry_point=f"{__name__}:SlateMDPEnv",
        vector_entry_point=f"{__name__}:SlateMDPVectorEnv",
    )
