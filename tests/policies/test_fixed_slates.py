import torch

from irecgan.policies.logging import SlateTablePolicy
from irecgan.policies.static import StaticPolicy
from irecgan.worlds.interface import Scene


def test_the_table_shows_the_slate_of_the_true_state() -> None:
    policy = SlateTablePolicy(torch.tensor([[0, 1], [2, 3]]))
    slate = policy.propose(policy.start(3), Scene(torch.tensor([1, 0, 1])), torch.Generator())
    assert slate.tolist() == [[2, 3], [0, 1], [2, 3]]


def test_the_later_slate_follows_the_first_click() -> None:
    policy = StaticPolicy(torch.tensor([0, 1]), later=torch.tensor([2, 3]))
    state = policy.start(2)
    state = state.join([policy.advance(state.take(torch.tensor([0])), torch.tensor([[0, 1]]), torch.tensor([1]))])
    assert policy.propose(state, Scene(), torch.Generator()).tolist() == [[0, 1], [0, 1], [2, 3]]


def test_one_ranking_may_serve_throughout() -> None:
    policy = StaticPolicy(torch.tensor([4, 2]))
    state = policy.advance(policy.start(1), torch.tensor([[4, 2]]), torch.tensor([2]))
    assert policy.propose(state, Scene(), torch.Generator()).tolist() == [[4, 2]]
