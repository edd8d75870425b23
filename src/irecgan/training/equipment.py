"""What a lab is made of: networks with their first weights, and what learns them."""

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from irecgan.models.agent import Head
from irecgan.models.networks import FITTED, NETWORKS, ModelName, Network, blank_network, readers
from irecgan.models.outputs import learn_by_rows
from irecgan.models.recurrent import initialise
from irecgan.models.user import RecurrentUserModel
from irecgan.seeding import Streams
from irecgan.training.config import TrainingConfig
from irecgan.training.data import TrainingData
from irecgan.training.distributed import Processes
from irecgan.training.gradients import summed_whole
from irecgan.training.information import log_statistics
from irecgan.training.learner import Learner
from irecgan.training.negatives import Proposal


def new_networks(
    data: TrainingData,
    config: TrainingConfig,
    streams: Streams,
    heads: Sequence[Head],
    *,
    teaches: Sequence[ModelName],
    processes: Processes,
) -> dict[ModelName, Network]:
    """All models: those that a training ``teaches`` with their first weights, on its device; the others without any."""
    drawn = {name: _drawn(name, data, config, streams, heads, blank=name not in teaches) for name in NETWORKS}
    return {name: model.to(processes.device) if name in teaches else model for name, model in drawn.items()}


def new_learners(
    models: Mapping[ModelName, Network], teaches: Sequence[ModelName], config: TrainingConfig, processes: Processes
) -> dict[ModelName, Learner]:
    """Those of the models taught that learn by gradients."""
    learning = [name for name in teaches if name not in FITTED]
    tables = {name: learn_by_rows(models[name]) if config.sparse else [] for name in learning}
    processes.make_room([summed_whole(models[name], tables[name]) for name in learning])
    return {name: _learner(name, models[name], tables[name], config, processes) for name in learning}


def attach(models: Sequence[Network], data: TrainingData) -> None:
    """Give user models that see lists what they read of the log."""
    if found := readers(models):
        statistics = log_statistics(data.train)
        for reader in found:
            reader.attach(statistics)


def new_proposal(data: TrainingData, config: TrainingConfig) -> Proposal:
    """Who draws negatives, by the clicks of the log."""
    clicks = torch.bincount(data.train.click, minlength=data.items + 1)[: data.items]
    return Proposal(clicks, config.negatives)


def _drawn(
    name: ModelName,
    data: TrainingData,
    config: TrainingConfig,
    streams: Streams,
    heads: Sequence[Head],
    *,
    blank: bool,
) -> Network:
    device = "meta" if blank else "cpu"
    size = config.size(data.items)
    network = blank_network(name, size, config.stop, data.reward_law, heads, inputs=data.inputs, device=device)
    if not blank:
        initialise(network, streams.torch("initialise", name))
    return network


def _learner(
    name: ModelName,
    model: Network,
    tables: Sequence[nn.Parameter],
    config: TrainingConfig,
    processes: Processes,
) -> Learner:
    rate = {
        "user": config.user_learning_rate,
        "agent": config.agent_learning_rate,
        "discriminator": config.discriminator_learning_rate,
    }[name]
    clip = {"user": config.user_clip, "agent": config.agent_clip, "discriminator": config.discriminator_clip}[name]
    terms = model.terms if isinstance(model, RecurrentUserModel) else None
    apart = None if terms is None else (list(terms.parameters()), config.terms_learning_rate)
    return Learner(model, rate, clip, tables, processes, apart=apart, rounds=config.precision == "bfloat16")
