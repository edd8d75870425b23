from pathlib import Path

import torch

from irecgan.data.batch import Sessions
from irecgan.policies.logging import MixPolicy
from irecgan.seeding import Streams
from irecgan.simulation import simulate
from irecgan.training.config import TrainingConfig
from irecgan.training.data import TrainingData, hold_out
from irecgan.training.lab import Lab, make_lab
from irecgan.training.loop import run_phases
from irecgan.training.phases import Fit, Phase, Rounds
from irecgan.training.recipes import Recipe, find_recipe
from small_logs import TINY, small_world


def lab_of(recipe: Recipe) -> Lab:
    world, streams = small_world(), Streams(0)
    batches = simulate(MixPolicy(world), world, 60, max_length=30, streams=streams)
    sessions = Sessions.concat([Sessions.from_batch(batch) for batch in batches])
    data = TrainingData(*hold_out(sessions, 0.1, streams.torch("hold-out")), final_slates=True)
    return make_lab(data, TrainingConfig.checked(dict(TINY)), streams, recipe.agent_loss, recipe.heads)


def test_an_observer_sees_every_unit_and_changes_nothing(tmp_path: Path) -> None:
    recipe = find_recipe("irecgan")
    seen: list[tuple[str, int]] = []
    weights: list[torch.Tensor] = []
    watched, alone = lab_of(recipe), lab_of(recipe)

    def observe(phase: Phase, units: int) -> None:
        seen.append((phase.name, units))
        weights.append(watched.agent.state_dict()["output.weight"].clone())

    for name, lab, observer in (("watched", watched, observe), ("alone", alone, None)):
        (tmp_path / name).mkdir()
        run_phases(recipe, lab, tmp_path / name, observer)
    phases = [phase.name for phase in recipe.phases]
    assert list(dict.fromkeys(name for name, _ in seen)) == phases
    for phase in phases:
        units = [done for name, done in seen if name == phase]
        assert units == list(range(len(units)))
        assert len(units) > 1
    begun = seen.index(("fit-agent", 0))
    assert torch.equal(weights[0], weights[begun])  # the agent has not learned yet
    assert not torch.equal(weights[begun], weights[begun + 1])
    for one, other in zip(watched.agent.parameters(), alone.agent.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_user_model_may_go_on_learning_without_scores(tmp_path: Path) -> None:
    rounds = Rounds(scored=False, keeps=("agent",), user=True)
    recipe = Recipe("unscored", "", "agent", (Fit("user"), Fit("agent"), rounds))
    assert rounds.teaches == ("user", "agent")
    lab = lab_of(recipe)
    before: list[torch.Tensor] = []

    def observe(phase: Phase, units: int) -> None:
        if (phase.name, units) == ("rounds", 0):
            before.extend(x.detach().clone() for x in (lab.user.click.weight, lab.discriminator.output.weight))

    run_phases(recipe, lab, tmp_path, observe)
    assert not torch.equal(before[0], lab.user.click.weight)
    assert torch.equal(before[1], lab.discriminator.output.weight)
