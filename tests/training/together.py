"""What each of two processes does for `test_distributed`, in one process group: they take long to start."""

import contextlib
import io
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

import irecgan
from irecgan import cli
from irecgan.data.catalogue import Catalogue
from irecgan.data.encode import encode
from irecgan.errors import UserError
from irecgan.seeding import Streams
from irecgan.training import shared_memory
from irecgan.training.config import TrainingConfig
from irecgan.training.data import TrainingData
from irecgan.training.distributed import Processes, process_group
from irecgan.training.lab import Lab, make_lab
from irecgan.training.losses import off_policy_gradient
from small_logs import TINY, small_log

BY_ROWS = {"softmax": "sampled", "output": "tied", "sparse": True, "negatives": 4}
NONE: Mapping[str, Any] = MappingProxyType({})
RATES = {"user_learning_rate": 1e-2, "agent_learning_rate": 1e-2, "discriminator_learning_rate": 1e-2}


def main(home: Path) -> None:
    """Do it all, and print what was found."""
    torch.set_num_threads(1)
    log = home / "log.parquet"
    given: dict[str, Any] = json.loads((home / "settings.json").read_text())
    found: dict[str, Any] = {}
    with process_group(torch.device("cpu")) as processes:
        found["irecgan"] = commanded(
            ["train", log, "--recipe", "irecgan", "--out", home / "two", *options(given["two"])]
        )
        found["terms"] = commanded(
            ["train", log, "--recipe", "terms", "--out", home / "terms", *options(given["terms"])]
        )
        found["shared"] = learned(processes, 8)
        found["sent"] = learned(replace(processes, memory=None), 8)
        found["no room"] = learned_without_room(processes, home)
        found["more than few"] = learned_in_parts(processes)
        found["seeds"] = refused(lambda: train(log, home / "seeds", "pg", TINY, seed=processes.rank))
        found["latent"] = refused(lambda: train(log, home / "latent", "latent", TINY))
        found["shared, by rows"] = learned(processes, 8, BY_ROWS)
        found["sent, by rows"] = learned(replace(processes, memory=None), 8, BY_ROWS)
        train(log, home / "lost", "pg", given["lost"], resume=True)
        train(log, home / "torn", "pg", {**given["lost"], "wait_minutes": 60}, resume=True)
        train(log, home / "whole", "pg", given["lost"])
    print(json.dumps(found))


def train(log: Path, out: Path, recipe: str, settings: dict[str, Any], seed: int = 0, *, resume: bool = False) -> None:
    irecgan.train(log, recipe=recipe, out=out, settings=settings, seed=seed, resume=resume)


def options(settings: dict[str, Any]) -> list[str]:
    return [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]


def commanded(argv: list[object]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as told:
        code = cli.main([str(part) for part in [*argv, "--json"]])
    return code, out.getvalue(), told.getvalue()


def refused(work: Callable[[], object]) -> str:
    """What the user is told."""
    try:
        work()
    except UserError as error:
        return str(error)
    return ""


def small_lab(processes: Processes, batch_size: int, settings: Mapping[str, Any]) -> Lab:
    """Models that learn from 60 sessions."""
    log = small_log(60)
    sessions = encode(log, Catalogue.from_log(log))
    data = TrainingData(sessions, sessions, final_slates=True)
    config = TrainingConfig.checked({**TINY, **RATES, "batch_size": batch_size, "terms": "all", **settings})
    return make_lab(data, config, Streams(0), off_policy_gradient, ["behaviour"], processes=processes)


def learned(processes: Processes, batch_size: int, settings: Mapping[str, Any] = NONE) -> dict[str, float]:
    """What U, A (one of whose heads no loss reaches) and D have become after an epoch or two, and their losses."""
    lab = small_lab(processes, batch_size, settings)
    other = encode(small_log(50, seed=4), Catalogue.from_log(small_log(60)))
    found = {
        name: lab.learners[name].epoch(
            lab.loss(name, Streams(2).torch(name)), lab.data.train, batch_size, Streams(1).torch(name)
        )
        for name in ("user", "agent")
    }
    for epoch in range(2):
        found |= lab.discriminator_epoch(other, Streams(epoch).torch("shuffle"))
    for name, learner in lab.learners.items():
        found[f"weight of {name}"] = sum(float(p.detach().double().square().sum()) for p in learner.model.parameters())
    return found


def learned_without_room(processes: Processes, home: Path) -> dict[str, float]:
    """The same where the place for shared memory cannot be written to, in the first process, and is not there."""
    place, shared_memory.SHARED = shared_memory.SHARED, home / "nowhere"
    try:
        return learned(Processes.found(processes.device), 8)
    finally:
        shared_memory.SHARED = place


def learned_in_parts(processes: Processes) -> dict[str, float]:
    """The same as many processes do it."""
    few, shared_memory.FEW = shared_memory.FEW, 1
    try:
        return learned(processes, 8)
    finally:
        shared_memory.FEW = few


if __name__ == "__main__":
    main(Path(sys.argv[1]))
