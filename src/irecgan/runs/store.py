"""Writing and reading run directories."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

import irecgan
from irecgan.data.catalogue import Catalogue
from irecgan.data.statistics import ItemCounts
from irecgan.errors import UserError
from irecgan.files import digest_of
from irecgan.models.content import Inputs
from irecgan.models.networks import NETWORKS, Deployed, ModelName, Network, blank_network, readers
from irecgan.models.recurrent import Size
from irecgan.models.rewards import RewardLaw
from irecgan.models.user import Stop
from irecgan.models.views import Statistics
from irecgan.policies.co_click import Neighbours
from irecgan.runs.columns import read_columns, write_columns
from irecgan.runs.items import ITEMS, read_counts, read_items, write_items
from irecgan.runs.manifest import FORMAT, Decision, Manifest, Origin
from irecgan.tensors import write_tensors


@dataclass(frozen=True)
class Run:
    """A finished training."""

    deploys: Deployed
    networks: Mapping[ModelName, Network]  # those that learned
    catalogue: Catalogue
    popularity: Tensor  # (2, n) float32, return-weighted click counts: at t = 0, and later
    slate_size: int
    final_slates: bool  # whether its log shows the slates at which users left
    co_clicks: Neighbours | None = None  # items clicked in the same sessions; None in runs written without them
    counts: ItemCounts | None = None  # of items in its log; None in runs written without them
    inputs: Inputs = field(default_factory=Inputs)  # the columns that the networks read
    table: pl.DataFrame | None = None  # the columns of the items as they were told; None where none are read


def save_run(
    directory: Path,
    run: Run,
    origin: Origin,
    *,
    size: Size,
    stop: Stop,
    reward_law: RewardLaw,
    decision: Decision | None = None,
) -> None:
    """Write ``run`` into ``directory``, ``run.json`` last."""
    write_items(directory, run.catalogue, run.popularity, run.co_clicks, run.counts)
    names = [ITEMS, *write_columns(directory, run.inputs, run.table)]
    for name, network in run.networks.items():
        names.append(f"{name}.safetensors")
        write_tensors(directory / names[-1], _served(network))
    Manifest(
        format=FORMAT,
        irecgan=irecgan.__version__,
        origin=origin,
        deploys=run.deploys,
        size=size,
        stop=stop,
        reward_law=reward_law,
        slate_size=run.slate_size,
        final_slates=run.final_slates,
        files={name: digest_of(directory / name) for name in names},
        decision=decision,
    ).write(directory)


def load_run(directory: Path) -> Run:
    """Read a run directory.

    Raises UserError when it is not a run, is of another format, or a file is missing or altered.
    """
    manifest = Manifest.read(directory)
    for name, digest in manifest.files.items():
        path = directory / name
        if not path.is_file():
            raise UserError(f"{path}: no such file; run.json says that it belongs to the run")
        if digest_of(path) != digest:
            raise UserError(f"{path}: found contents that differ from those that run.json was written for")
    catalogue, popularity, co_clicks = read_items(directory)
    if len(catalogue) != manifest.size.items:
        raise UserError(f"{directory / ITEMS}: not the {manifest.size.items} items of this run")
    inputs, table = read_columns(directory, catalogue, manifest.files)
    networks: dict[ModelName, Network] = {}
    for name in NETWORKS:
        if f"{name}.safetensors" in manifest.files:
            networks[name] = _load_network(directory / f"{name}.safetensors", name, manifest, inputs)
    counts = read_counts(directory)
    _attach(networks, counts, co_clicks, directory)
    return Run(
        deploys=manifest.deploys,
        networks=networks,
        catalogue=catalogue,
        popularity=popularity,
        slate_size=manifest.slate_size,
        final_slates=manifest.final_slates,
        co_clicks=co_clicks,
        counts=counts,
        inputs=inputs,
        table=table,
    )


def _attach(
    networks: Mapping[ModelName, Network], counts: ItemCounts | None, related: Neighbours | None, directory: Path
) -> None:
    """Give user models that see lists what they read of the log."""
    found = readers(networks.values())
    if not found:
        return
    if counts is None or related is None:
        raise UserError(
            f"{directory / ITEMS}: found no counts of items, which its model reads; expected those of its log"
        )
    for reader in found:
        reader.attach(Statistics(counts.with_unknown(), related))


def _served(network: Network) -> dict[str, Tensor]:
    """The weights without the heads that served learning alone."""
    return {key: value for key, value in network.state_dict().items() if not key.startswith("heads.")}


def _load_network(path: Path, name: ModelName, manifest: Manifest, inputs: Inputs) -> Network:
    network = blank_network(name, manifest.size, manifest.stop, manifest.reward_law, inputs=inputs)
    try:
        network.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise UserError(f"{path}: not the weights of this run ({error})") from None
    return network.eval().requires_grad_(requires_grad=False)
