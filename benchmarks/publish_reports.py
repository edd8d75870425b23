"""Puts finished experiments into the documents: their reports, and one page with all verdicts.

    python benchmarks/publish_reports.py FROM TO NAME...

FROM holds a folder for each experiment NAME, as ``irecgan reproduce NAME --out FROM/NAME`` leaves it. What TO says of
other experiments stays.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from irecgan.experiments.frame.study import FIGURES, REPORT, RESULTS, STUDY
from irecgan.experiments.registry import EXPERIMENTS, find_experiment
from irecgan.files import write_text

INTRODUCTION = """# Reports of the experiments

Made by `irecgan reproduce NAME`; all but `beyond` by `make reports`. Quick ones are small, and say so: a claim that is
*not decided* by them may be decided by `--preset paper`. A comparison is a paired t test over seeds with Holm's
correction over its claim. Each `report.html` is one file with all plots and tables, to be opened in a browser.
"""
PAGE = "README.md"


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
    made = f"{settings['seeds']} seeds, {made_by(name, settings)}."
    title = f"## [{name}]({name}/{REPORT}): {summary}\n\n{made}\n"
    return "\n".join([title, *heads, *rows])


def made_by(name: str, settings: dict[str, Any]) -> str:
    """The preset, whatever the number of seeds, and the names of logs that were given."""
    options = "".join(f" --log {Path(log).name}" for log in settings.get("logs", ()))
    own = {key: settings[key] for key in ("seeds", "logs") if key in settings}
    for preset, known in find_experiment(name).presets.items():
        if {**known.model_dump(mode="json"), **own} == settings:
            return f"`--preset {preset}{options}`"
    return "settings of its own"


def counts(claim: dict[str, Any]) -> str:
    """How many comparisons of a claim hold, fail and are open."""
    verdicts = [test["verdict"] for test in claim["tests"]]
    return ", ".join(str(verdicts.count(verdict)) for verdict in ("holds", "does not hold", "not decided"))


def main() -> None:
    source, target, *names = sys.argv[1:]
    page = Path(target) / PAGE
    before = page.read_text().split("\n\n## ")[1:] if page.exists() else []
    sections = {text[1 : text.index("]")]: f"## {text.strip()}" for text in before}
    sections |= {name: section(Path(source) / name, Path(target), name) for name in names}
    ordered = [sections[name] for name in EXPERIMENTS if name in sections]
    write_text(page, "\n".join([INTRODUCTION, "\n\n".join(ordered), ""]))


if __name__ == "__main__":
    main()
