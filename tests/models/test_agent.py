import itertools
import math

import pytest
import torch

from irecgan.models.agent import Agent
from irecgan.models.recurrent import Cell, Size, initialise
from irecgan.policies.logging import RandomPolicy
from irecgan.policies.ranking import sampled_slate, top_slate
from irecgan.rollout import rollout
from irecgan.worlds.mdp import draw_world


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_whole_sessions_and_single_steps_agree(cell: Cell) -> None:
    agent = Agent(Size(items=8, embedding=4, units=5, layers=2, cell=cell))
    initialise(agent, torch.Generator().manual_seed(0))
    agent.requires_grad_(requires_grad=False)
    world = draw_world("softmax", 3, 8, 3, seed=1)
    batch = rollout(RandomPolicy(8, 3), world, 20, max_length=5, generator=torch.Generator().manual_seed(1))
    logits, at = agent(batch), batch.real.nonzero()
    for row, t in at.tolist():
        state = agent.start(1)
        for click in batch.click[row, :t]:
            state = agent.advance(state, click[None])
        index = int((at == torch.tensor([row, t])).all(1).nonzero())
        torch.testing.assert_close(logits[index], agent.scores(state)[0])
    shown = agent.score_slates(batch)
    torch.testing.assert_close(shown, logits.gather(1, batch.slate[batch.real]))


def test_slates_of_equation_4_are_drawn_without_replacement() -> None:
    """Every ordered slate of 2 of 4 items is as frequent as draws one by one make it."""
    scores = torch.tensor([0.0, 1.0, -1.0, 0.5])
    p = scores.softmax(0)
    drawn = sampled_slate(scores.expand(60_000, 4), 2, torch.Generator().manual_seed(0))
    for first, second in itertools.permutations(range(4), 2):
        expected = float(p[first] * p[second] / (1 - p[first]))
        found = float(((drawn == torch.tensor([first, second])).all(1)).double().mean())
        assert found == pytest.approx(expected, abs=4 * math.sqrt(expected / 60_000))


def test_the_top_slate_is_best_first() -> None:
    assert top_slate(torch.tensor([[0.1, 3.0, 2.0, -1.0]]), 3).tolist() == [[1, 2, 0]]
