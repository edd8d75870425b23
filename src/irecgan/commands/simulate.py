"""``irecgan simulate``: make or read a world, and log sessions from it."""

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import irecgan
from irecgan.commands.interface import Output
from irecgan.data.log import SessionLog
from irecgan.data.reading import written_format
from irecgan.errors import UserError
from irecgan.files import parents_made, refuse_existing
from irecgan.policies.interface import Policy
from irecgan.policies.logging import logging_policies
from irecgan.policies.presented import presented_orders
from irecgan.seeding import Streams
from irecgan.simulation import LONGEST, simulated_log
from irecgan.worlds.loading import load_world
from irecgan.worlds.mdp import MDPWorld, draw_world
from irecgan.worlds.shop import ShopWorld
from irecgan.worlds.shop_calibration import draw_shop

HELP = """Make a simulated world, or read one, and log sessions from it. Users move between hidden states; an
item's reward in the present state is the chance that it is clicked once a user considers it. With --law shop:
users of a shop with 40,000 items, who see a ranked list for each of their queries, click, and sometimes buy."""

WORLD_FILE = "WORLD.json"
SHOP = "shop"
_DRAWN = {"law": "softmax", "states": 10, "items": 50, "slate_size": 10}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="LOG", help="the log to write: .parquet, .csv or .jsonl")
    add(
        "--policy",
        required=True,
        metavar="random|max|mix|logged|RUN",
        help="who shows the slates: max and mix observe the hidden state, RUN is a trained policy; in a shop "
        "random, logged (the order of its own ranker) or RUN",
    )
    add("--sessions", type=int, required=True, metavar="N", help="how many sessions to log")
    add("--world", type=Path, metavar="WORLD.json", help="the world to log from (default: draw one)")
    add("--law", metavar="softmax|dirichlet:ALPHA|shop", help="how to draw transitions, or a shop (default: softmax)")
    add("--states", type=int, metavar="M", help="hidden states to draw (default: 10)")
    add("--items", type=int, metavar="N", help="items to draw (default: 50; of a shop: 40000)")
    add("--slate-size", type=int, metavar="K", help="items in a slate (default: 10)")
    add(
        "--max-length",
        type=int,
        default=LONGEST,
        metavar="T",
        help=f"cut sessions after T clicks (default: {LONGEST})",
    )
    add(
        "--seed",
        type=int,
        default=0,
        metavar="S",
        help="of the world drawn and of the sessions; with --world of these (default: 0)",
    )


def run(args: argparse.Namespace) -> Output:
    """Write the log, and the world beside it when it was drawn here."""
    for option, value in (("--sessions", args.sessions), ("--max-length", args.max_length)):
        if value < 1:
            raise UserError(f"{option}: found {value}, expected at least 1")
    refuse_existing(args.out)
    written_format(args.out)  # before any session is played
    world = _world(args)
    path = args.world or args.out.parent / WORLD_FILE
    _refuse_another(world, path, args.seed)
    log = simulated_log(
        _policy(args.policy, world),
        world,
        args.sessions,
        max_length=args.max_length,
        streams=Streams(args.seed).child("simulate"),
        name=str(args.out),
    )
    drawn = not path.exists()
    with parents_made(args.out):
        if drawn:
            world.save(path)
        try:
            log.write(args.out)
        except BaseException:
            if drawn:
                path.unlink()
            raise
    return _output(args.out, path, args.policy, log)


def _world(args: argparse.Namespace) -> MDPWorld | ShopWorld:
    given = {name: getattr(args, name) for name in _DRAWN if getattr(args, name) is not None}
    if args.world:
        _refuse(given, "found together with --world, expected one or the other")
        return load_world(args.world)
    shop = given.get("law") == SHOP
    if shop:
        del given["law"]
        strange = [name for name in given if name != "items"]
        _refuse(strange, f"found together with --law {SHOP}, expected --items alone")
    try:
        return draw_shop(**given, seed=args.seed) if shop else draw_world(**{**_DRAWN, **given}, seed=args.seed)
    except UserError as error:  # it begins with the name of what is wrong
        name, _, found = str(error).partition(":")
        raise UserError(f"{_option(name)}:{found}") from None


def _refuse(names: Iterable[str], problem: str) -> None:
    """Raise UserError for the first of the options ``names``."""
    for name in names:
        raise UserError(f"{_option(name)}: {problem}")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _refuse_another(world: MDPWorld | ShopWorld, path: Path, seed: int) -> None:
    """Raise UserError when ``path`` holds another world than ``world``, drawn by ``seed``."""
    if path.exists() and load_world(path).spec != world.spec:
        raise UserError(
            f"{path}: found another world than the one drawn by --seed {seed} and its options; for other sessions of "
            f"that world give --world {path} --seed {seed} alone, for a world of its own write --out to another folder"
        )


def _policy(name: str, world: MDPWorld | ShopWorld) -> Policy[Any]:
    named: Mapping[str, Policy[Any]]
    named = presented_orders(world.catalogue_size) if isinstance(world, ShopWorld) else logging_policies(world)
    if name in named:
        return named[name]
    if not Path(name).is_dir():
        names = ", ".join(named)
        raise UserError(f"--policy: found {name!r}, expected {names} or the folder of a trained policy")
    slate_size = world.slate_size if isinstance(world, MDPWorld) else None
    return irecgan.load_policy(name).in_world(world.catalogue_size, slate_size=slate_size)


def _output(path: Path, world: Path, policy: str, log: SessionLog) -> Output:
    reward = float(log.frame["reward"].sum()) / log.sessions
    cut = log.ends.sessions - log.ends.unclicked
    told = f"; {cut} sessions were cut" if cut else ""
    return Output(
        text=f"{path}: {log.sessions} sessions, {log.steps} steps, {log.clicks} clicks by {policy}; "
        f"mean cumulative reward {reward:.3f}{told}\nworld: {world}",
        json={
            "log": str(path),
            "world": str(world),
            "policy": policy,
            "sessions": log.sessions,
            "steps": log.steps,
            "clicks": log.clicks,
            "cumulative_reward": reward,
            "cut": cut,
        },
    )
