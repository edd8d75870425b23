"""How much faster the package is than at an earlier commit: the same work by both sources, in turn.

    python benchmarks/before_after.py --before COMMIT --out FILE.json

The earlier source is checked out in a worktree of git that is removed in the end. For each piece of work
two processes are made, one for each source, by calls that both know. It is done by one and then by the other,
``--repeats`` times after once for nothing. The ratio, of processor seconds per step of a session, is taken in each
repeat; the table has its median and, in brackets, its extremes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import torch

import irecgan
from irecgan.data.batch import Sessions
from irecgan.evaluation.online import play
from irecgan.files import write_json
from irecgan.policies.ranking import RankingPolicy
from irecgan.rollout import rollout
from irecgan.seeding import Streams
from irecgan.tables import aligned
from irecgan.worlds.mdp import draw_world
from speed_lab import lab_on, logging_policy

ROOT = Path(__file__).resolve().parent.parent
SHORTEST = 0.5
"""Processor seconds for which a piece of work is done over and over."""
WORKS = "generation", "generation with scores", "evaluation", "simulator", "epoch of U", "epoch of A", "epoch of D"
Row = dict[str, Any]


def works(log: str, args: argparse.Namespace) -> dict[str, Callable[[], int]]:
    """All of WORKS; each gives the steps it did."""
    world = draw_world("softmax", seed=0)
    policy = logging_policy(world, log)
    lab = lab_on(world, policy, args.units, args.sessions)
    train = lab.data.train
    made = Sessions.from_batch(lab.generate(len(train), torch.Generator().manual_seed(2), scored=False))

    def generate(sessions: int, *, scored: bool) -> Callable[[], int]:
        def work() -> int:
            batch = lab.generate(sessions, torch.Generator().manual_seed(2), scored=scored)
            return int(batch.real.sum())

        return work

    def evaluate() -> int:
        result = play(RankingPolicy(lab.agent, world.slate_size), world, args.evaluated, Streams(0))
        return int(args.evaluated * (result.clicks + 1))

    def simulate() -> int:
        batch = rollout(policy, world, 5_000, max_length=1_000, generator=torch.Generator().manual_seed(4))
        return int(batch.real.sum())

    def epoch(model: Any) -> Callable[[], int]:
        def work() -> int:
            learner, loss = lab.learners[model], lab.losses[model]
            learner.epoch(loss, train, lab.config.batch_size, torch.Generator().manual_seed(3))
            return int(train.steps.sum())

        return work

    def judge() -> int:
        lab.discriminator_epoch(made, torch.Generator().manual_seed(3))
        return int(train.steps.sum() + made.steps.sum())

    return {
        "generation": generate(args.generated, scored=False),
        "generation with scores": generate(args.scored, scored=True),
        "evaluation": evaluate,
        "simulator": simulate,
        "epoch of U": epoch("user"),
        "epoch of A": epoch("agent"),
        "epoch of D": judge,
    }


def serve(log: str, args: argparse.Namespace) -> None:
    """Do the work that each line of the input names; say how many processor seconds a step of it took."""
    torch.set_num_threads(1)
    found = works(log, args)
    print(json.dumps(str(Path(irecgan.__file__).parent.parent)), flush=True)
    for line in sys.stdin:
        begin, steps, spent = time.process_time(), 0, 0.0
        while spent < SHORTEST:
            steps += found[line.strip()]()
            spent = time.process_time() - begin
        print(json.dumps(spent / steps), flush=True)


class Server:
    """A process that works by the source in a directory."""

    def __init__(self, source: Path, log: str, options: list[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, *options, "--serve", log],
            env={**os.environ, "PYTHONPATH": str(source)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        found = Path(self._line())
        if found.resolve() != source.resolve():
            raise SystemExit(f"expected the source {source}, found {found}")

    def seconds(self, work: str) -> float:
        """Processor seconds of a step of ``work``, which is done now."""
        assert self._process.stdin is not None
        self._process.stdin.write(work + "\n")
        self._process.stdin.flush()
        return float(self._line())

    def end(self) -> None:
        """Let it go."""
        self._process.communicate()

    def _line(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("a process has ended")
        return json.loads(line)


def compared(log: str, sources: tuple[Path, Path], options: list[str], repeats: int) -> list[Row]:
    """One row for each piece of work: seconds a step before and after in each repeat, and their ratios."""
    rows = []
    for work in WORKS:
        before, after = servers = [Server(source, log, options) for source in sources]
        pairs = [(before.seconds(work), after.seconds(work)) for _ in range(repeats + 1)][1:]  # the first is cold
        ratios = [old / new for old, new in pairs]
        rows.append({"log": log, "work": work, "seconds of a step": pairs, "before / after": ratios})
        for server in servers:
            server.end()
        print(log, work, file=sys.stderr, flush=True)
    return rows


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """The source at ``commit``, for a while."""
    with tempfile.TemporaryDirectory() as home:
        tree = Path(home) / "tree"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), commit], check=True)
        try:
            yield tree / "src"
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def table(rows: list[Row]) -> str:
    """Aligned text: medians, and the ratio with its extremes."""
    cells = [["log", "work", "before, ms a step", "after, ms a step", "before / after"]]
    for row in rows:
        times = [f"{1_000 * median(pair[i] for pair in row['seconds of a step']):.3g}" for i in (0, 1)]
        ratios = row["before / after"]
        ratio = f"{median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
        cells.append([row["log"], row["work"], *times, ratio])
    return aligned(cells, left=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", metavar="COMMIT", default="3a18956")
    parser.add_argument("--units", type=int, default=512)
    parser.add_argument("--logs", nargs="+", choices=("random", "max"), default=["random", "max"])
    parser.add_argument("--sessions", type=int, default=1_000, help="logged")
    parser.add_argument("--generated", type=int, default=1_000, help="sessions generated at once without scores")
    parser.add_argument("--scored", type=int, default=100, help="sessions generated at once with scores")
    parser.add_argument("--evaluated", type=int, default=20_000, help="sessions")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, metavar="FILE.json")
    parser.add_argument("--serve", metavar="LOG", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.serve, args)
        return
    rows: list[Row] = []
    with checked_out(args.before) as before:
        for log in args.logs:
            rows += compared(log, (before, ROOT / "src"), sys.argv[1:], args.repeats)
            if args.out:
                write_json(args.out, {"before": args.before, "units": args.units, "rows": rows})
    print(table(rows))


if __name__ == "__main__":
    main()
