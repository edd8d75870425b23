"""Slates after many histories at once."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor
from tqdm import tqdm

from irecgan.execution.interface import Executor
from irecgan.execution.work_off import worked_off
from irecgan.policies.interface import Ranker
from irecgan.policies.ranking import top_slate
from irecgan.rows import Rows
from irecgan.runs.histories import HISTORY, ITEMS, PROBABILITIES, Chunk, read_histories, write_recommended
from irecgan.runs.trained import Context, TrainedPolicy, load_policy

_CELLS, _ROWS = 1 << 20, 32
"""Scores held at once, and histories whose scores are in any case."""


@dataclass(frozen=True)
class Recommended:
    """How many histories a file had, and how many clicks in them on items that are not in the catalogue."""

    histories: int
    unknown_clicks: int


def recommend_file(
    run: Path,
    histories: Path,
    out: Path,
    executor: Executor,
    *,
    k: int | None = None,
    context: Context | None = None,
    device: str = "cpu",
) -> Recommended:
    """Write to ``out``, Parquet, what ``run`` recommends after each of ``histories`` (`read_histories`).

    Workers of ``executor`` take a chunk each, and read the run. Raises UserError as they do, and where ``out`` is no
    name of a Parquet file.
    """
    work = partial(recommend_chunk, run.absolute(), device, k, context)
    unknown = 0

    def parts() -> Generator[tuple[Chunk, pl.DataFrame]]:
        nonlocal unknown
        bar = tqdm(desc="recommend", unit=" histories", disable=None, leave=False)
        with bar, closing(worked_off(executor, work, read_histories(histories), _rows)) as done:
            for chunk, (frame, strange) in done:
                unknown += strange
                bar.update(len(frame))
                yield chunk, frame

    with closing(parts()) as found:
        rows = write_recommended(out, found)
    return Recommended(rows, unknown)


def _rows(chunk: Chunk) -> str:
    return f"histories {chunk.start + 1} to {chunk.start + len(chunk.frame)}"


def recommend_chunk(
    directory: Path, device: str, k: int | None, context: Context | None, chunk: Chunk
) -> tuple[pl.DataFrame, int]:
    """What the run in ``directory`` recommends after the histories of ``chunk``, and how many clicks it does not know.

    The rows of the chunk, with the columns ``items`` and ``probabilities``: lists of ``k`` items, best first. On the
    same kind of machine the same chunk gives the same numbers, whoever works on it.
    """
    policy = load_policy(directory, device)
    histories = chunk.frame[HISTORY]
    clicks = policy.catalogue.index_any(histories.explode(empty_as_null=False).to_list())
    lengths = torch.from_numpy(histories.list.len().cast(pl.Int64).to_numpy(writable=True))
    items, probabilities = recommend_many(policy, clicks, lengths, k, context)
    ids = policy.catalogue.items.gather(items.flatten().tolist()).reshape((len(histories), items.shape[1]))
    columns = [
        ids.arr.to_list().alias(ITEMS),
        pl.Series(PROBABILITIES, probabilities.numpy()).arr.to_list(),
    ]
    return chunk.frame.with_columns(columns), int((clicks == len(policy.catalogue)).sum())


@torch.no_grad()
def recommend_many(
    policy: TrainedPolicy, clicks: Tensor, lengths: Tensor, k: int | None = None, context: Context | None = None
) -> tuple[Tensor, Tensor]:
    """The best ``k`` items (B, K) after B histories, with their chances (B, K), as of `TrainedPolicy.recommend`.

    ``clicks`` (sum of lengths,) are indices of items, history after history; ``lengths`` (B,). Raises UserError as
    `TrainedPolicy.recommend` does.
    """
    ranker = policy.within(context)
    k = min(policy.asked(k), ranker.catalogue_size)
    state = _states(ranker, clicks.to(policy.device), lengths)
    found = []
    for rows in torch.arange(len(lengths)).split(max(_ROWS, _CELLS // ranker.catalogue_size)):
        scores = ranker.scores(state.take(rows.to(policy.device))).cpu()
        best = top_slate(scores, k)
        found.append((best, scores.softmax(1).gather(1, best)))
    items, probabilities = zip(*found, strict=True)
    return torch.cat(items), torch.cat(probabilities)


def _states(ranker: Ranker[Any], clicks: Tensor, lengths: Tensor) -> Rows:
    """The states of ``ranker`` after the histories; those that are finished are set aside."""
    order = lengths.argsort(descending=True, stable=True)
    begin = (lengths.cumsum(0) - lengths)[order].to(clicks.device)
    longest_first = lengths[order]
    state: Rows = ranker.start(len(lengths))
    finished: list[Rows] = []
    for step in range(int(longest_first[0]) + 1):
        going, there = int((longest_first > step).sum()), torch.arange(len(state), device=clicks.device)
        if going < len(state):
            finished.append(state.take(there[going:]))
            state = state.take(there[:going])
        if going:
            state = ranker.advance(state, clicks[begin[:going] + step])
    shortest_last = finished[::-1]
    return shortest_last[0].join(shortest_last[1:]).take(order.argsort().to(clicks.device))
