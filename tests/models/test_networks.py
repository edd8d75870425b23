import pytest
import torch

from irecgan.models.networks import NETWORKS, ModelName, blank_network
from irecgan.models.recurrent import Size, initialise
from irecgan.models.rewards import RewardLaw


@pytest.mark.parametrize("name", NETWORKS)
def test_making_a_network_leaves_the_global_generator_as_it_was(name: ModelName) -> None:
    before = torch.random.get_rng_state()
    network = blank_network(name, Size(7, embedding=3, units=4, layers=2), "history", RewardLaw())
    initialise(network, torch.Generator().manual_seed(0))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(parameter.isfinite().all() for parameter in network.parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_every_weight_comes_from_the_generator_that_is_given(name: ModelName) -> None:
    drawn = []
    for seed in (1, 2):
        torch.rand(seed)  # whatever the global generator has been used for
        network = blank_network(name, Size(7, embedding=3, units=4, layers=2), "history", RewardLaw())
        initialise(network, torch.Generator().manual_seed(0))
        drawn.append(network.state_dict())
    assert all(torch.equal(drawn[0][key], drawn[1][key]) for key in drawn[0])
