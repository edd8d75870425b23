"""What terms cost: an epoch of the user model with each of them, beside one without.

python benchmarks/terms.py DIR      # a directory made by 'irecgan prepare'
"""

import argparse
import statistics
import time
from functools import partial
from pathlib import Path

import torch

from irecgan.data.catalogue import Catalogue
from irecgan.data.encode import encode
from irecgan.data.log import SessionLog
from irecgan.models.terms import TERMS
from irecgan.seeding import Streams
from irecgan.tables import aligned
from irecgan.training.config import TrainingConfig
from irecgan.training.data import TrainingData
from irecgan.training.lab import make_lab
from irecgan.training.losses import policy_gradient
from irecgan.training.recipes import RECIPES


def seconds(data: TrainingData, terms: str, epochs: int) -> float:
    """The median time of an epoch, after one to warm up."""
    config = TrainingConfig.checked({**RECIPES["terms"].settings, "terms": terms})
    lab = make_lab(data, config, Streams(0), policy_gradient, teaches=("user",))
    loss, taken = lab.loss("user", torch.Generator().manual_seed(0)), []
    for epoch in range(epochs + 1):
        learn = partial(lab.learners["user"].epoch, loss, data.train, config.batch_size)
        begun = time.perf_counter()
        learn(torch.Generator().manual_seed(epoch))
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken[1:])


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("--epochs", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    log = SessionLog.read(args.directory / "train.parquet")
    sessions = encode(log, Catalogue.from_log(log))
    data = TrainingData(sessions, sessions.select(torch.arange(10)), final_slates=log.ends_unclicked)
    plain = seconds(data, "", args.epochs)
    rows = [["none", f"{plain:.2f}", "1.00"]]
    for terms in (*TERMS, "all"):
        found = seconds(data, terms, args.epochs)
        rows.append([terms, f"{found:.2f}", f"{found / plain:.2f}"])
    print(aligned([["terms", "seconds an epoch", "of that without"], *rows]))


if __name__ == "__main__":
    main()
