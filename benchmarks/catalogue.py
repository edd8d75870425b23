"""Large catalogues on one core: steps of learning, slates, recommendations; and what sampling costs in quality.

    python benchmarks/catalogue.py --out catalogue.json             # time and memory, at 40,000 and 1,000,000 items
    python benchmarks/catalogue.py --plot FILE.svg --items 1000 --items 10000 --items 100000 --items 1000000
    python benchmarks/catalogue.py quality LOG --out quality.json   # held-out loss and rerank, full against sampled

Every figure of the first is taken in a process of its own, so that its peak of memory is its own: `peak` is what
the process held at most, `above` what that is above a process that has loaded the same modules. Times are medians.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import torch

import irecgan
from irecgan.data.batch import Sessions
from irecgan.data.catalogue import Catalogue
from irecgan.data.location import find_prepared
from irecgan.experiments.frame.seeds import over_seeds
from irecgan.models.recurrent import Size
from irecgan.policies.co_click import co_clicks
from irecgan.policies.drawing import drawn_slate, noisy_slate
from irecgan.policies.popularity import return_weighted_counts
from irecgan.policies.ranking import RankingPolicy
from irecgan.runs.manifest import Origin
from irecgan.runs.store import Run, save_run
from irecgan.seeding import Streams
from irecgan.tables import aligned
from irecgan.training.config import PRESETS, TrainingConfig
from irecgan.training.data import TrainingData
from irecgan.training.lab import Lab, make_lab
from irecgan.training.learner import mean_loss
from irecgan.training.losses import policy_gradient
from irecgan.training.metrics import best_losses
from irecgan.worlds.interface import Scene

CATALOGUES = (40_000, 1_000_000)
VARIANTS: dict[str, dict[str, Any]] = {
    "untied, full": {},
    "tied, full": {"output": "tied"},
    "untied, sampled, sparse": {"softmax": "sampled", "sparse": True},
    "tied, sampled": {"output": "tied", "softmax": "sampled"},
    "tied, sampled, sparse": {"output": "tied", "softmax": "sampled", "sparse": True},
}
SKIPPED = {("untied, full", 1_000_000), ("untied, sampled, sparse", 1_000_000)}  # 2 GB of weights, 6 to 10 GB in all
SESSIONS, CLICKS, SHOWN, STEPS = 32, 2, 10, 15
REFERENCE = "tied, full"
MEASURES = ("p@1", "p@10", "mrr")

Figures = dict[str, float]


def sessions(items: int, count: int) -> Sessions:
    """Sessions of CLICKS clicks and an end, on lists of SHOWN items; few items have most of the clicks."""
    generator = torch.Generator().manual_seed(0)
    per = CLICKS + 1
    steps = per * count
    shown = (items * torch.rand(steps * SHOWN, generator=generator) ** 3).long()
    ended = torch.arange(steps) % per == CLICKS
    return Sessions(
        step_start=torch.arange(0, steps + 1, per),
        item_start=torch.arange(0, steps * SHOWN + 1, SHOWN),
        item=shown,
        click=torch.where(ended, items, shown[::SHOWN]),
        position=torch.where(ended, -1, 0),
        reward=torch.zeros(steps),
        propensity=torch.full((steps,), torch.nan),
        score=torch.ones(steps),
        catalogue_size=items,
    )


def lab_of(variant: str, items: int, model: Any = "agent") -> Lab:
    data = TrainingData(sessions(items, SESSIONS * STEPS), sessions(items, 64), final_slates=True)
    config = TrainingConfig.checked(VARIANTS[variant])
    return make_lab(data, config, Streams(0), policy_gradient, teaches=(model,))


def median(times: list[float]) -> float:
    return sorted(times)[len(times) // 2]


def timed(work: Callable[[], object], repeats: int) -> float:
    """Seconds, after one run to get warm."""
    times = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return median(times[1:])


def step(items: int, variant: str, model: str = "agent") -> Figures:
    """One step of the agent's (or the user model's) policy gradient on SESSIONS sessions, 2 layers of 512 units."""
    begin = time.perf_counter()
    lab = lab_of(variant, items, model)
    made = time.perf_counter() - begin
    name: Any = model
    loss, learner = lab.loss(name, torch.Generator().manual_seed(1)), lab.learners[name]
    rows = iter(torch.arange(SESSIONS * STEPS).split(SESSIONS))
    seconds = timed(lambda: learner.step(lambda: loss(lab.data.train.batch(next(rows)))), STEPS - 1)
    held_out = timed(lambda: mean_loss(lab.judges[name], lab.data.validation), 1)
    return {"ms": 1e3 * seconds, "to draw weights, s": made, "held-out loss of 64 sessions, ms": 1e3 * held_out}


def nothing(items: int) -> Figures:
    """A process that has loaded what the others load: the agent of a catalogue of no size, learning."""
    step(min(items, 100), "tied, sampled, sparse")
    return {}


def slates(items: int, kind: str) -> Figures:
    """160 ordered slates of 10, drawn from scores that are there already, some at a time."""
    scores = torch.randn(160 if items < 10**5 else 16, items, generator=torch.Generator().manual_seed(0))
    draw = {"drawn": drawn_slate, "noise on every item": noisy_slate}[kind]
    generator = torch.Generator().manual_seed(1)
    return {"ms": 1e3 * timed(lambda: draw(scores, 10, generator), 5) * 160 / len(scores)}


def proposed(items: int, kind: str) -> Figures:
    """160 slates of 10 by an agent, its scores included."""
    agent = lab_of("tied, sampled, sparse", items).agent.requires_grad_(requires_grad=False)
    policy = RankingPolicy(agent, 10, sampled=kind == "sampled")
    state, generator = policy.start(160), torch.Generator().manual_seed(1)
    return {"ms": 1e3 * timed(lambda: policy.propose(state, Scene(), generator), 3)}


def asked(items: int) -> Figures:
    """A run is written, loaded, and asked."""
    lab = lab_of("tied, sampled, sparse", items)
    size = Size(items, output="tied")
    catalogue = Catalogue(pl.Series("item_id", range(items)))
    origin = Origin(recipe="pg", seed=0, settings={}, log="")
    begin = time.perf_counter()
    train = lab.data.train
    run = Run(
        "agent", {"agent": lab.agent}, catalogue, return_weighted_counts(train, 0.9, 3.0), 10, True, co_clicks(train)
    )
    counted = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        save_run(Path(directory), run, origin, size=size, stop="history", reward_law=lab.data.reward_law)
        written = time.perf_counter()
        policy = irecgan.load_policy(directory)
        loaded = time.perf_counter()
    history, some = [1, 4, 7], list(range(0, items, items // 100))
    return {
        "ms": 1e3 * timed(lambda: policy.recommend(history, 10), 5),
        "rerank of 100, ms": 1e3 * timed(lambda: policy.rerank(history, some), 5),
        "to count popularity and co-clicks, s": counted - begin,
        "to write, s": written - counted,
        "to load, s": loaded - written,
    }


MEASURED: dict[str, Callable[..., Figures]] = {
    "nothing": nothing,
    "step": step,
    "slates": slates,
    "proposed": proposed,
    "asked": asked,
}


def one(name: str, items: int, *arguments: str) -> Figures:
    """The figures of one process, and the most memory that it held, in MB."""
    command = [sys.executable, __file__, "--one", json.dumps([name, items, *arguments])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"failed": float(done.returncode)}
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def speed(catalogues: list[int]) -> list[dict[str, Any]]:
    """Everything that is timed."""
    rows = []
    floor = one("nothing", 100)["peak, MB"]
    for items in catalogues:
        work: list[tuple[str, ...]] = [("step", name) for name in VARIANTS if (name, items) not in SKIPPED]
        work += [("step", name, "user") for name in ("untied, full", "tied, sampled, sparse")]
        work += [("slates", "noise on every item"), ("slates", "drawn"), ("proposed", "sampled"), ("proposed", "top")]
        for name, *arguments in [*work, ("asked",)]:
            found = one(name, items, *arguments)
            if "peak, MB" in found:
                found["above, MB"] = found["peak, MB"] - floor
            rows.append({"items": items, "what": " ".join([name, *arguments]), **found})
            print(json.dumps(rows[-1]), flush=True)
    return rows


def quality(log: Path, seeds: int) -> list[dict[str, Any]]:
    """Held-out loss and rerank of runs that differ in how the agent's softmax is learned."""
    prepared = find_prepared(log)
    if prepared is None:
        raise SystemExit(f"{log}: expected a directory made by 'irecgan prepare'")
    settings = {name: {**PRESETS["small"], **VARIANTS[name]} for name in VARIANTS if name != "untied, sampled, sparse"}
    rows = []
    for name, seed in ((name, seed) for seed in range(seeds) for name in settings):
        with tempfile.TemporaryDirectory() as directory:
            out, begin = Path(directory) / "run", time.perf_counter()
            irecgan.train(
                prepared.train, validation=prepared.validation, recipe="pg", out=out, seed=seed, settings=settings[name]
            )
            seconds = time.perf_counter() - begin
            found = irecgan.evaluate(out, log=log, min_candidates=11).to_json()["runs"]["run"]
            figures = {key: found[key]["mean"] for key in MEASURES}
            loss = best_losses(out)["fit-agent"]
            rows.append({"variant": name, "seed": seed, "held-out loss": loss, **figures, "seconds": round(seconds, 1)})
            print(json.dumps(rows[-1]), flush=True)
    return rows


def differences(rows: list[dict[str, Any]]) -> str:
    """What every variant has more than the reference: means over seeds, with 95 % intervals."""
    keys = ("held-out loss", *MEASURES)
    values = {(row["variant"], row["seed"]): row for row in rows}
    cells = [[f"less {REFERENCE}", *keys]]
    for name in dict.fromkeys(name for name, _ in values if name != REFERENCE):
        pairs = [(row, values[REFERENCE, seed]) for (variant, seed), row in values.items() if variant == name]
        cells.append(
            [name, *(over_seeds([row[key] - other[key] for row, other in pairs]).text("+.3f") for key in keys)]
        )
    return aligned(cells, left=True)


def table(rows: list[dict[str, Any]]) -> str:
    keys = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[f"{row[k]:.3f}" if isinstance(row.get(k), float) else str(row.get(k, "")) for k in keys] for row in rows]
    return aligned([keys, *cells], left=True)


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Milliseconds and memory of an agent's step over the items of the catalogue."""
    from growth import plot_growth  # noqa: PLC0415 - what is measured holds no plots

    lines = {name: [row for row in rows if row["what"] == f"step {name}" and "ms" in row] for name in VARIANTS}
    panels = {"ms": "milliseconds", "above, MB": "memory above that of 100 items, MB"}
    plot_growth(lines, ("items", "items of the catalogue"), panels, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("speed", "quality"), default="speed")
    parser.add_argument("log", nargs="?", type=Path, help="for quality: a directory made by 'irecgan prepare'")
    parser.add_argument("--items", type=int, action="append", help="a catalogue to measure; may be repeated")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="JSON to write")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="the steps of the agent over the catalogues")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.one:
        name, items, *arguments = json.loads(args.one)
        found = MEASURED[name](items, *arguments)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({**found, "peak, MB": peak}))
        return
    rows = quality(args.log, args.seeds) if args.what == "quality" else speed(args.items or list(CATALOGUES))
    print(table(rows))
    if args.what == "quality":
        print(differences(rows))
    if args.out:
        args.out.write_text(json.dumps(rows, indent=2) + "\n")
    if args.plot:
        plot(rows, args.plot)


if __name__ == "__main__":
    main()
