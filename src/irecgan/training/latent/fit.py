"""The phases of the recipe ``latent``: fit user models with a hidden state, keep the likeliest, plan."""

from dataclasses import dataclass

import torch

from irecgan.models.latent import LatentTables
from irecgan.models.networks import ModelName
from irecgan.policies.latent import plan_slates
from irecgan.training.journal import Metrics
from irecgan.training.lab import Lab
from irecgan.training.latent.em import evidence, run_em
from irecgan.training.latent.priors import flat_priors
from irecgan.training.latent.structures import Structure, find_structures
from irecgan.training.latent.trajectories import Trajectories

_FLAT_STEPS = 5
"""Steps of EM before priors are learned from its counts."""
_STEPS = 60
_REFIT_STEPS = 15
_STARTS = 2
"""Fits, of which the likelier counts, where states are drawn by chance."""


@dataclass(frozen=True)
class FitLatent:
    """Fit one model of the hidden state per unit, and keep the one under which held-out sessions are likeliest.

    That is the joint evidence: of slates and answers, given the history.
    """

    name: str = "fit-latent"
    keeps: tuple[ModelName, ...] = ("latent",)
    teaches: tuple[ModelName, ...] = ("latent",)

    def limit(self, lab: Lab) -> int:
        """The models to try."""
        return len(self._structures(lab))

    def unit(self, lab: Lab, index: int) -> Metrics:
        """One model."""
        steps, held_out = Trajectories.of(lab.data.train), Trajectories.of(lab.data.validation)
        structure = self._structures(lab)[index]
        generator = lab.streams.torch(self.name, index)
        tables = fitted(structure, steps, generator, ends_logged=lab.data.final_slates)
        if structure.finer is not None:
            finer = fitted(structure.finer, steps, generator, ends_logged=lab.data.final_slates)
            tables = tables if clearly_likelier(tables, finer, held_out) else finer
        lab.latent.set_tables(tables)
        slate, answer = (float(part.sum()) / held_out.alive[0] for part in evidence(tables, held_out))
        return {
            "latent/states": float(tables.states),
            "latent/kinds": float(len(tables.kind_base)),
            "latent/slates": slate,
            "latent/answers": answer,
            "validation": -(slate + answer),
        }

    def _structures(self, lab: Lab) -> list[Structure]:
        def found() -> list[Structure]:
            steps = Trajectories.of(lab.data.train)
            return find_structures(steps, lab.streams.torch(self.name, "kinds"), ends_logged=lab.data.final_slates)

        return lab.once(self.name, found)


@dataclass(frozen=True)
class PlanLatent:
    """Fit the model that was kept to all sessions, those held out too, and plan the agent's slates for its users."""

    name: str = "plan"
    keeps: tuple[ModelName, ...] = ()
    teaches: tuple[ModelName, ...] = ("latent",)

    def limit(self, lab: Lab) -> int:  # noqa: ARG002
        """One."""
        return 1

    def unit(self, lab: Lab, index: int) -> Metrics:  # noqa: ARG002
        """The plan."""
        before = lab.latent.tables
        steps = Trajectories.of(lab.data.all)
        priors = flat_priors(before.states, before.items)
        tables = run_em(before, steps, priors, iterations=_REFIT_STEPS, ends_logged=lab.data.final_slates)
        lab.latent.set_tables(tables)
        generator = lab.streams.torch(self.name)
        plan = plan_slates(tables, lab.slate_size, generator, reward_weight=lab.config.lambda_r)
        lab.latent.set_plan(plan.values, plan.slates)
        return {"plan/pairs": float(len(plan.values)), "plan/value": float((tables.start @ plan.values.T).max())}


def clearly_likelier(tables: LatentTables, other: LatentTables, steps: Trajectories) -> bool:
    """Whether sessions are likelier under ``tables`` than under the ``other`` ones by more than one standard error."""
    (slate, answer), (other_slate, other_answer) = evidence(tables, steps), evidence(other, steps)
    gain = steps.by_session(slate + answer - other_slate - other_answer)  # (S,)
    return bool(gain.mean() > gain.std() / len(gain) ** 0.5)


def fitted(structure: Structure, steps: Trajectories, generator: torch.Generator, *, ends_logged: bool) -> LatentTables:
    """The tables of ``structure`` that EM finds; of several beginnings, those under which ``steps`` are likeliest."""
    flat = flat_priors(structure.states, steps.items)
    found = []
    for _ in range(1 if structure.state is not None else _STARTS):
        tables = structure.begin(steps.items, generator)
        tables = run_em(
            tables,
            steps,
            flat,
            iterations=_FLAT_STEPS,
            ends_logged=ends_logged,
            learn_priors=False,
        )
        tables = run_em(tables, steps, flat, iterations=_STEPS, ends_logged=ends_logged)
        found.append((float(sum(part.sum() for part in evidence(tables, steps))), tables))
    return max(found, key=lambda pair: pair[0])[1]
