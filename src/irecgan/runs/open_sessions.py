"""Sessions under way: their last lists, reranked by all that a log tells of what came before."""

from pathlib import Path

import polars as pl
import torch
from torch import Tensor

from irecgan.data.columns import CLICK, SESSION, SLATE
from irecgan.data.encode import encode
from irecgan.data.log import SessionLog
from irecgan.data.order import in_order
from irecgan.data.reading import write_frame
from irecgan.errors import UserError
from irecgan.policies.ranking import ranked_with_chances
from irecgan.runs.histories import ITEMS, PROBABILITIES, expect_parquet
from irecgan.runs.trained import TrainedPolicy

_BATCH = 256  # sessions


@torch.no_grad()
def rerank_sessions(policy: TrainedPolicy, log: SessionLog, *, ranked: bool = True) -> pl.DataFrame:
    """The last list of every session of ``log``, best item first: just as `irecgan.evaluate` ranks it.

    Where `TrainedPolicy.rerank` hears of clicks alone, here models read the lists shown before, rewards, touches and
    context columns too. Columns: ``session_id``, ``items`` and ``probabilities``, the chances of each to be drawn
    first; one row per session, in the order of ``log``. Candidates that are not in the catalogue, equal scores and
    ``ranked`` are as in `TrainedPolicy.rerank`. Raises UserError where a last list has a click: it has an order, then.
    """
    last = log.frame.filter(log.last_steps)
    clicked = last.filter(pl.col(CLICK).is_not_null())
    if len(clicked):
        found = f"session {clicked[SESSION][0]!r} ends with a click on {clicked[CLICK][0]!r}"
        raise UserError(f"{log.name}: column {CLICK}: {found}; expected none in the list that is to be ranked")
    policy.warn_of_untold(log)
    sessions = encode(log, policy.catalogue, final_slates=True, context=policy.context)
    orders: list[pl.DataFrame] = []
    for rows in in_order(sessions.steps, _BATCH):
        batch = sessions.batch(rows)
        final = batch.steps.cumsum(0) - 1  # (B,) places among the real steps
        scores, shown = policy.score_slates(batch, ranked=ranked)[final], batch.shown[batch.real][final]  # (B, K)
        orders.append(_orders(rows, scores, shown))
    ranks = pl.concat(orders).sort("row")
    best_first = pl.col(SLATE).list.gather(pl.col("order")).alias(ITEMS)
    return last.select(SESSION, SLATE).hstack(ranks).select(SESSION, best_first, PROBABILITIES)


def _orders(rows: Tensor, scores: Tensor, shown: Tensor) -> pl.DataFrame:
    """For each of ``rows`` (B,) the ranks of the items ``shown`` (B, K) by falling score, and their chances."""
    order, chances = ranked_with_chances(scores)  # what is not shown stays behind what is
    flat = {"row": rows[:, None].expand_as(order), "order": order, PROBABILITIES: chances}
    frame = pl.DataFrame({name: values[shown].numpy() for name, values in flat.items()})
    return frame.group_by("row").agg("order", PROBABILITIES)


def rerank_file(policy: TrainedPolicy, path: Path, out: Path, *, ranked: bool = True) -> int:
    """Write to ``out``, Parquet, what `rerank_sessions` says of the log in ``path``; the session count.

    Raises UserError as it does, and where the log is wrong or ``out`` has another suffix.
    """
    expect_parquet(out)
    frame = rerank_sessions(policy, SessionLog.read(path), ranked=ranked)
    write_frame(frame, out)
    return len(frame)
