"""Puts finished experiments into the documents: their reports, and one page with all verdicts.

    python benchmarks/publish_reports.py FROM TO NAME...

FROM holds a folder for each experiment NAME, as ``irecgan reproduce NAME --out FROM/NAME`` leaves it.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from irecgan.experiments.frame.study import FIGURES, REPORT, RESULTS, STUDY
from irecgan.experiments.registry import find_experiment
from irecgan.files import write_text

INTRODUCTION = """# Reports of the experiments

Made by `make reports`: `irecgan reproduce NAME --preset quick` for each. They are small, and say so; a claim that is
*not decided* here may be decided by `--preset paper`. A comparison is a paired t test over seeds with Holm's
correction over its claim. Each `report.html` is one file with all plots and tables, to be opened in a browser.
"""


def section(source: Path, target: Path, name: str) -> str:
    """Copy one report; its verdicts in Markdown."""
    folder = target / name
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / REPORT, folder / REPORT)
    if (source / FIGURES).is_dir():
        shutil.copytree(source / FIGURES, folder / FIGURES, dirs_exist_ok=True)
    settings = json.loads((source / STUDY).read_text())["settings"]
    claims: list[dict[str, Any]] = json.loads((source / RESULTS).read_text())["claims"]
    rows = [f"| {claim['claim']} | {claim['verdict']} | {counts(claim)} |" for claim in claims]
    heads = ["| claim | verdict | comparisons: hold, fail, open |", "|---|---|---|"]
    summary = find_experiment(name).summary
    title = f"## [{name}]({name}/{REPORT}): {summary}\n\n{settings['seeds']} seeds.\n"
    return "\n".join([title, *heads, *rows])


def counts(claim: dict[str, Any]) -> str:
    """How many comparisons of a claim hold, fail and are open."""
    verdicts = [test["verdict"] for test in claim["tests"]]
    return ", ".join(str(verdicts.count(verdict)) for verdict in ("holds", "does not hold", "not decided"))


def main() -> None:
    source, target, *names = sys.argv[1:]
    sections = [section(Path(source) / name, Path(target), name) for name in names]
    write_text(Path(target) / "README.md", "\n".join([INTRODUCTION, "\n\n".join(sections), ""]))


if __name__ == "__main__":
    main()
