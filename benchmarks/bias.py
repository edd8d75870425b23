"""The bias theory of section 6, measured: the experiment ``bias``, with its figures as files."""

import argparse
import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch

from irecgan.experiments.bias.cell import work
from irecgan.experiments.bias.conclude import conclude
from irecgan.experiments.bias.plot import figures
from irecgan.experiments.bias.results import grouped
from irecgan.experiments.bias.settings import PRESETS, BiasCell, BiasSettings, cells
from irecgan.files import read_json, write_json, write_text


def worked(settings: BiasSettings, cell: BiasCell) -> dict[str, Any]:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        return work(settings, cell, Path(scratch))


def results(settings: BiasSettings, folder: Path, workers: int) -> list[tuple[BiasCell, dict[str, Any]]]:
    """Of every cell: those that are in ``folder`` are not worked again."""
    todo = [cell for cell in cells(settings) if not (folder / f"{cell.key}.json").exists()]
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for cell, found in zip(todo, pool.map(worked, [settings] * len(todo), todo), strict=True):
            write_json(folder / f"{cell.key}.json", found)
            print(cell.key, flush=True)
    return [(cell, read_json(folder / f"{cell.key}.json")) for cell in cells(settings)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="quick", choices=PRESETS)
    parser.add_argument("--out", type=Path, required=True, help="a folder for results and report")
    parser.add_argument("--figures", type=Path, help="a folder for the figures, as SVG files")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    (args.out / "cells").mkdir(parents=True, exist_ok=True)
    found = results(PRESETS[args.preset], args.out / "cells", args.workers)
    numbers, text, html = conclude(PRESETS[args.preset], found)
    write_json(args.out / "results.json", numbers)
    write_text(args.out / "report.html", html)
    if args.figures is not None:
        args.figures.mkdir(parents=True, exist_ok=True)
        for name, svg in figures(grouped(found)).items():
            write_text(args.figures / f"{name}.svg", svg)
    print(text)


if __name__ == "__main__":
    main()
