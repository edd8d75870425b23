"""What a plan for users with a hidden state promises, and what it takes, by how it is improved.

    python benchmarks/planning.py --out planning.json

Worlds are known here, so what a plan promises is a lower bound on what the best policy earns, without noise: more is
better. *At once* makes a pair of slate and values for every belief, *in turn* for a few, until all others are served.
Seconds are those of a processor, with one thread.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from irecgan.files import write_json
from irecgan.policies.latent import AT_ONCE, BACKUPS, BELIEFS
from irecgan.policies.planning import fixed_slates, improved_plan, start_belief
from irecgan.seeding import Streams
from irecgan.tables import aligned
from irecgan.worlds.candidates import CandidateModel
from irecgan.worlds.mdp import draw_world
from latent import timed

WORLDS = [  # law, states, items, slate size
    ("dirichlet:0.02", 10, 50, 10),
    ("dirichlet:0.02", 20, 50, 10),
    ("dirichlet:0.02", 10, 200, 10),
    ("dirichlet:0.02", 10, 50, 5),
    ("softmax", 10, 50, 10),
]
WAYS: dict[str, dict[str, Any]] = {
    "at once": {"beliefs": (256,) * 6, "at_once": 256, "backups": 20},
    "in turn": {"beliefs": BELIEFS, "at_once": AT_ONCE, "backups": BACKUPS},
}
"""Before, and as the recipe `latent` plans."""


def measured(world: tuple[str, int, int, int], seed: int, way: str) -> dict[str, Any]:
    """One plan."""
    law, states, items, slate_size = world
    model = CandidateModel.of_world(draw_world(law, states, items, slate_size, seed=seed))
    generator = Streams(seed).torch("plan")
    plan, seconds = timed(lambda: improved_plan(model, fixed_slates(model, slate_size), generator, **WAYS[way]))
    promised = float(plan.choose(start_belief(model, 1))[1])
    found = {"way": way, "promised": promised, "pairs": len(plan.values), "seconds": seconds}
    return {"law": law, "states": states, "items": items, "slate": slate_size, "seed": seed, **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="100,101", help="worlds of each kind, with commas")
    parser.add_argument("--out", type=Path, help="a JSON file for all results")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for world in WORLDS:
        for seed in map(int, args.seeds.split(",")):
            for way in WAYS:
                rows.append(measured(world, seed, way))
                print(json.dumps(rows[-1]), flush=True)
    cells = [[f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()] for row in rows]
    print(aligned([list(rows[0]), *cells], left=True))
    if args.out:
        write_json(args.out, rows)


if __name__ == "__main__":
    main()
