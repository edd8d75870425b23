"""What columns of items are worth for items that a training log never showed.

A share of the items that have columns is hidden from the parts to learn from: slates lose them, and steps that clicked
one are dropped. The test part is left as it is. All trainings of a seed hide the same items. Counted are test clicks on
hidden items, by their rank in the whole list and among the hidden items of the list alone; and all test clicks.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor

import irecgan
from irecgan.data.batch import SessionBatch, Sessions
from irecgan.data.catalogue import Catalogue
from irecgan.data.columns import CLICK, ITEM, SLATE
from irecgan.data.encode import encode
from irecgan.data.location import find_prepared
from irecgan.data.log import SessionLog
from irecgan.data.order import in_order
from irecgan.errors import UserError
from irecgan.evaluation.metrics import hit_rate
from irecgan.evaluation.offline import logged_order, random_order
from irecgan.experiments.frame.seeds import over_seeds
from irecgan.files import write_json
from irecgan.policies.interface import Scorer
from irecgan.policies.ranking import conservative_rank
from irecgan.seeding import Streams
from irecgan.training.config import TrainingConfig

Figures = dict[str, float]


@dataclass(frozen=True)
class Test:
    """The test part, with all its items known, and which of these are hidden."""

    sessions: Sessions
    hidden: Tensor  # (n + 1,) bool

    def figures(self, scorer: Scorer, sessions: Sessions, least: int) -> Figures:
        """P@1 and P@10 of a policy that knows the same ``sessions`` by its own catalogue."""
        ranks: dict[str, list[Tensor]] = {"new": [], "among_new": [], "all": []}
        for rows in in_order(self.sessions.steps, 256):
            batch, scores = self.sessions.batch(rows), scorer(sessions.batch(rows))
            used = batch.clicked[batch.real] & (batch.shown[batch.real].sum(1) >= least)
            new = used & self.hidden[batch.click[batch.real]]
            known = ~self.hidden[batch.slate[batch.real]]
            ranks["all"].append(_ranks(scores, batch, used))
            ranks["new"].append(_ranks(scores, batch, new))
            ranks["among_new"].append(_ranks(scores.masked_fill(known, -torch.inf), batch, new))
        found = {name: torch.cat(parts) for name, parts in ranks.items()}
        rates = {f"{name} P@{k}": float(hit_rate(r, k).mean()) for name, r in found.items() for k in (1, 10)}
        return rates | {"clicks on new items": float(len(found["new"]))}


def _ranks(scores: Tensor, batch: SessionBatch, used: Tensor) -> Tensor:
    real = batch.real
    return conservative_rank(scores[used], batch.shown[real][used], batch.position[real][used])


def hide(path: Path, hidden: pl.Series, to: Path) -> Path:
    """Write the log in ``path`` without the items ``hidden``."""
    frame = pl.read_parquet(path)
    known = ~pl.element().is_in(hidden.implode())
    clicked = pl.col(CLICK).is_null() | ~pl.col(CLICK).is_in(hidden.implode())
    kept = frame.filter(clicked).with_columns(pl.col(SLATE).list.eval(pl.element().filter(known)))
    kept.filter(pl.col(SLATE).list.len() > 0).write_parquet(to)
    return to


def measured(args: argparse.Namespace, seed: int, work: Path) -> dict[str, Figures]:
    """The figures of all policies, by name."""
    prepared = find_prepared(args.log)
    if prepared is None:
        raise UserError(f"{args.log}: expected a directory made by 'irecgan prepare'")
    items = pl.read_parquet(args.log / "items.parquet")
    columns = [name.split(":")[0] for name in args.columns.split(",")] if args.columns != "all" else items.columns[1:]
    told = items.drop_nulls(columns)[ITEM]
    order = Streams(seed).numpy("hidden").permutation(len(told))
    hidden = told.gather(order[: round(args.share * len(told))])
    log, validation = (hide(path, hidden, work / path.name) for path in (prepared.train, prepared.validation))
    test_log = SessionLog.read(prepared.test)
    everything = Catalogue(
        pl.concat([test_log.items, items[ITEM].cast(test_log.items.dtype)]).unique(maintain_order=True)
    )
    mask = torch.zeros(len(everything) + 1, dtype=torch.bool)
    mask[everything.index(hidden)] = True
    test = Test(encode(test_log, everything), mask)
    found = {
        "shown order": test.figures(logged_order, test.sessions, args.least),
        "random": test.figures(random_order(Streams(seed).torch("random")), test.sessions, args.least),
    }
    with_columns = {"item_features": args.columns, "missing_features": args.missing}
    settings: dict[str, dict[str, Any]] = {"ids": {}, "columns": with_columns}
    settings |= {f"columns, id_dropout={x}": {**with_columns, "id_dropout": x} for x in args.id_dropout}
    for name, asked in settings.items():
        policy = irecgan.train(
            log,
            recipe=args.recipe,
            validation=validation,
            items=items,
            seed=seed,
            settings=TrainingConfig.parse([f"{k}={v}" for k, v in asked.items()], args.preset),
            out=work / name,
        )
        sessions = encode(test_log, policy.catalogue, context=policy.context)
        found[name] = test.figures(policy.score_slates, sessions, args.least)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", type=Path, help="a directory made by 'irecgan prepare', with columns of items")
    parser.add_argument("--columns", default="all", help="as the setting item_features")
    parser.add_argument("--missing", default="own", help="as the setting missing_features")
    parser.add_argument("--share", type=float, default=0.3, help="of the items with columns that are hidden")
    parser.add_argument("--recipe", default="gru4rec")
    parser.add_argument("--preset", default="gru")
    parser.add_argument("--id-dropout", type=float, nargs="*", default=[0.3])
    parser.add_argument("--least", type=int, default=1, help="items of a list that counts")
    parser.add_argument("--seeds", type=int, default=3, help="of hidden items and of weights")
    parser.add_argument("--out", type=Path, help="a JSON file for all results")
    args = parser.parse_args()
    torch.set_num_threads(1)
    results = []
    for seed in range(args.seeds):
        with tempfile.TemporaryDirectory() as work:
            results.append(measured(args, seed, Path(work)))
    for name in results[0]:
        print(name)
        for key in results[0][name]:
            print(f"  {key}: {over_seeds([result[name][key] for result in results])}")
    if args.out:
        write_json(args.out, results)


if __name__ == "__main__":
    main()
