"""What the README tells a user to type works."""

import importlib
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from irecgan.cli import main
from small_logs import TINY, small_log, small_world

README = (Path(__file__).parents[1] / "README.md").read_text()
COMMANDS = re.findall(r"^    \$ (irecgan .+?)(?: +#.*)?$", README, re.MULTILINE)
SETTINGS = [part for key, value in TINY.items() for part in ("--set", f"{key}={value}")]
QUICKER = {
    "simulate": ["--states", "3", "--items", "12", "--slate-size", "10"],
    "train": SETTINGS,
    "evaluate": ["--sessions", "100"],
}
LISTED = {
    "law": "dirichlet:0.3",
    "states": 2,
    "items": 3,
    "slate_size": 1,
    "clicks": 2,
    "sessions": 40,
    "logs": ["soft"],
    "training": {key: value for key, value in TINY.items() if key != "generated_ratio"},
}
EXPERIMENTS = {
    "figure2": ["--set", 'blocks=[{"law":"softmax","logs":["mix"],"sizes":[40]}]', "--models", "pg"],
    "figure3": ["--set", "rounds=1", "--set", "sessions=20"],
    "bias": ["--set", f"worlds={json.dumps({'listed': LISTED})}", "--set", "repeats=2"],
    "beyond": [
        *("--set", 'blocks=[{"law":"softmax","logs":["mix"],"sessions":60,"states":3,"items":12,"slate_size":4}]'),
        *("--set", "shop_seeds=0", "--set", "evaluation_sessions=50", "--models", "slate"),
    ],
    "table1": ["--set", 'shop={"items":300,"sessions":400,"evaluation_sessions":50}', "--models", "pg"],
}
QUICKER_SHOP = ["--items", "250", "--sessions", "300"]


def test_its_commands_run_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert {shlex.split(command)[1] for command in COMMANDS} >= {"simulate", "prepare", "inspect", "train", "recommend"}
    for command in COMMANDS:
        _, name, *rest = shlex.split(command)
        quicker = QUICKER_SHOP if "shop" in rest else QUICKER.get(name, [])
        if name == "reproduce":
            quicker = [*EXPERIMENTS[rest[0]], "--seeds", "1", "--workers", "1"]
        assert main([name, *rest, *quicker]) == 0, command
        assert capsys.readouterr().out.strip()


def test_its_baselines_are_made_of_a_log() -> None:
    (found,) = re.findall(r"`(Baselines\.of\(.+?)`.+?\((`irecgan.+?)\)", README, re.DOTALL)
    names: dict[str, Any] = {"log": small_log()}
    for module in re.findall(r"`(.+?)`", found[1]):
        names |= vars(importlib.import_module(module))
    assert "popularity" in eval(found[0], names).rankers()


def test_its_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    small_world().save(tmp_path / "WORLD.json")
    small_log().write(tmp_path / "log.parquet")
    (block,) = re.findall(r"```python\n(.+?)```", README, re.DOTALL)
    block = block.replace('"units": 128', '"units": 8').replace("[7, 12, 99]", "[7, 5, 99]")
    assert "irecgan.train(" in block
    exec(compile(block, "README.md", "exec"), {})
