"""Files that cannot be read, before, between and after the looks at them; what is interrupted leaves nothing."""

import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import irecgan
from irecgan.cli import main
from irecgan.data.log import Log
from irecgan.data.parquet import row_groups
from irecgan.data.scanned import read_or_scan
from irecgan.errors import UserError
from irecgan.training.journal import Journal
from small_logs import TINY, prepared, small_log


def damaged(path: Path, group: int) -> None:
    """Write noise over the middle of one row group, counted from 1."""
    groups, whole = row_groups(path), bytearray(path.read_bytes())
    at = int((len(whole) - 4_000) * (group - 0.5) / len(groups))
    whole[at : at + 600] = bytes([0xAB]) * 600
    path.write_bytes(whole)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A log of three row groups."""
    frame = small_log(900).frame
    return prepared(tmp_path / "log.parquet", frame, -(-len(frame) // 3))


@pytest.mark.parametrize("command", ["train", "inspect", "prepare"])
@pytest.mark.parametrize("most", [0, 10**7])
def test_a_damaged_row_group_is_named(
    command: str, most: int, large: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged(large, 2)
    out = ["--out", str(tmp_path / "out")]
    argv = {
        "train": ["train", str(large), "--recipe", "pg", "--set", f"in_memory_steps={most}", *out],
        "inspect": ["inspect", str(large)],
        "prepare": ["prepare", "log", str(large), *out],
    }
    assert main(argv[command]) == 2
    message = capsys.readouterr().err
    first = row_groups(large)[0]
    assert f"error: {large}: row group 2 (rows {first + 1} to {2 * first}): cannot be read as Parquet" in message
    assert [path.name for path in tmp_path.iterdir()] == ["log.parquet"]


def test_a_training_goes_on_when_its_log_is_whole_again(
    large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**TINY, "in_memory_steps": 0, "batch_size": 256, "agent_epochs": 1}
    irecgan.train(large, recipe="pg", out=tmp_path / "whole", settings=options)
    with monkeypatch.context() as patch:
        patch.setattr("irecgan.training.train._finish", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            irecgan.train(large, recipe="pg", out=tmp_path / "run", settings=options)
    whole = large.read_bytes()
    damaged(large, 2)
    before = sorted(path.name for path in (tmp_path / "run").iterdir())
    with pytest.raises(UserError, match="row group 2"):
        irecgan.train(large, recipe="pg", out=tmp_path / "run", settings=options, resume=True)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == before
    large.write_bytes(whole)
    irecgan.train(large, recipe="pg", out=tmp_path / "run", settings=options, resume=True)
    files = [(tmp_path / name / "agent.safetensors").read_bytes() for name in ("whole", "run")]
    assert files[0] == files[1]


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        ("noise", r"row group 2 \(.*\): cannot be read as Parquet"),
        ("cut", "cannot be read as Parquet"),
        ("gone", "No such file"),
    ],
)
def test_damage_between_two_looks_at_a_log_is_named(
    harm: str,
    told: str,
    large: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The first look counts, and the second encodes."""

    def opened(*given: Any) -> Log:
        log = read_or_scan(*given)
        harmed(large, harm)
        return log

    monkeypatch.setattr("irecgan.training.train.read_or_scan", opened)
    options = ["--recipe", "pg", "--set", "in_memory_steps=0", "--out", str(tmp_path / "out")]
    assert main(["train", str(large), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match(rf"error: {large}: {told}", line)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("harm", ["noise", "cut", "gone"])
@pytest.mark.parametrize("most", [0, 10**7])
def test_damage_after_a_log_was_encoded_changes_nothing(
    most: int, harm: str, large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An epoch reads a copy, in memory or in files that have no name."""
    settings = {**TINY, "in_memory_steps": most, "batch_size": 256, "agent_epochs": 2}
    irecgan.train(large, recipe="pg", out=tmp_path / "whole", settings=settings)
    epoch, harms = Journal.epoch, [partial(harmed, large, harm)]

    def learn(self: Journal, *given: Any) -> float:
        while harms:
            harms.pop()()
        return epoch(self, *given)

    monkeypatch.setattr(Journal, "epoch", learn)
    irecgan.train(large, recipe="pg", out=tmp_path / "run", settings=settings)
    assert not harms
    whole, run = ((tmp_path / name / "agent.safetensors").read_bytes() for name in ("whole", "run"))
    assert whole == run


def harmed(path: Path, harm: str) -> None:
    """Noise in a row group, half of the file, or no file."""
    if harm == "noise":
        damaged(path, 2)
    elif harm == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.unlink()


@pytest.mark.parametrize(
    "footer",
    [
        bytes([0x18]) + b"\xff" * 10 + b"\x01",  # a text of 2^70 letters
        bytes([0x19, 0xF7]) + b"\xff" * 5 + b"\x01",  # as many doubles
        bytes([0x18, 0x05]) + b"ab",  # a text that ends too soon
    ],
)
def test_a_damaged_footer_is_one_line(footer: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "log.parquet"
    path.write_bytes(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    with pytest.raises(ValueError, match="not the footer of a Parquet file"):
        row_groups(path)
    assert main(["inspect", str(path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_row_groups_are_counted(tmp_path: Path) -> None:
    frame = small_log().frame
    assert row_groups(prepared(tmp_path / "a.parquet", frame, 50)) == [50] * (len(frame) // 50) + [len(frame) % 50]
    (tmp_path / "b.parquet").write_bytes(b"PAR1....PAR1")
    with pytest.raises(ValueError, match="not"):
        row_groups(tmp_path / "b.parquet")


INTERRUPTED = """
import sys, irecgan.data.prepare as prepare
write = prepare.LogPart.write
def killed(part, path):
    write(part, path)
    if path.name == "validation.parquet":
        {end}
prepare.LogPart.write = killed
from irecgan.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("end", "code", "told"),
    [
        ("raise KeyboardInterrupt", 130, "error: interrupted\n"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", 143, "error: terminated\n"),
    ],
)
def test_an_interrupted_preparation_leaves_nothing(end: str, code: int, told: str, large: Path, tmp_path: Path) -> None:
    argv = ["prepare", "log", str(large), "--out", str(tmp_path / "out")]
    script = INTERRUPTED.replace("{end}", end)
    done = subprocess.run([sys.executable, "-c", script, *argv], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert done.stderr == told
    assert [path.name for path in tmp_path.iterdir()] == ["log.parquet"]
