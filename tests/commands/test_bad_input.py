"""Every command meets input that is wrong: one line, exit status 2, nothing left behind."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import irecgan
from irecgan.cli import main
from small_logs import TINY, small_log, small_world

TINY_OPTIONS = [option for key, value in TINY.items() for option in ("--set", f"{key}={value}")]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log, its world and a run."""
    home = tmp_path_factory.mktemp("home")
    small_log().write(home / "log.parquet")
    small_world().save(home / "WORLD.json")
    (home / "none.csv").mkdir()
    (home / "wrong.csv").write_text("session_id,step,slate,click\n1,-1,1 2,1\n1,1,1 1 2,2\n")
    (home / "deep.json").write_text("[" * 100_000)
    (home / "long.json").write_text("9" * 5_000)
    irecgan.train(home / "log.parquet", recipe="pg", out=home / "run", settings=TINY)
    return home


def refused(capsys: pytest.CaptureFixture[str], *argv: object) -> str:
    """The one line that the command line answers with."""
    assert main([str(part) for part in argv]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert "Traceback" not in captured.err
    return lines[0]


def complaints(stderr: str) -> int:
    return sum(line.startswith("error: ") for line in stderr.splitlines())


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["nosuch"], "nosuch"),
        (["train"], "LOG"),
        (["train", "{home}/log.parquet", "--recipe", "pg"], "--out"),
        (["train", "{home}/log.parquet", "--recipe", "best", "--out", "{new}"], "expected one of lstm"),
        (["train", "{home}/log.parquet", "--recipe", "pg", "--out", "{new}", "--set", "unit=3"], "unit=3: no such key"),
        (["train", "{home}/log.parquet", "--recipe", "pg", "--out", "{new}", "--set", "units=x"], "units"),
        (["train", "{home}/log.parquet", "--recipe", "pg", "--out", "{new}", "--set", "units"], "expected key=value"),
        (["train", "{home}/log.parquet", "--recipe", "pg", "--out", "{new}", "--preset", "tiny"], "--preset tiny"),
        (["train", "{home}/log.parquet", "--recipe", "pg", "--out", "{home}/run"], "exists already"),
        (["train", "{home}/run", "--recipe", "pg", "--out", "{new}"], "run: is a run; expected a session log"),
        (["evaluate", "{home}/run", "--log", "{home}/run"], "run: is a run; expected a session log"),
        (["train", "{home}/nowhere.csv", "--recipe", "pg", "--out", "{new}"], "nowhere.csv: no such file"),
        (["train", "{home}/WORLD.json", "--recipe", "pg", "--out", "{new}"], "WORLD.json"),
        (["evaluate", "{home}/run"], "--log"),
        (["evaluate", "{home}/run", "--log", "{home}/log.parquet", "--world", "{home}/WORLD.json"], "--world"),
        (
            ["evaluate", "{home}/run", "--log", "{home}/log.parquet", "--min-candidates", "0"],
            "--min-candidates: found 0",
        ),
        (["evaluate", "{home}/run", "--world", "{home}/log.parquet"], "log.parquet"),
        (["evaluate", "{home}/run", "--world", "{home}/WORLD.json", "--sessions", "0"], "--sessions: found 0"),
        (["evaluate", "{home}", "--world", "{home}/WORLD.json"], "not a run"),
        (["recommend", "{home}/nowhere"], "not a run"),
        (["recommend", "{home}/run", "-k", "0"], "k: found 0"),
        (["recommend", "{home}/run", "-k", "two"], "two"),
        (["recommend", "{home}/run", "--history", "1,,2"], "--history"),
        (
            ["recommend", "{home}/run", "--history", "-ant"],
            "--history: expected one argument; a value that begins with -",
        ),
        (["recommend", "{home}/run", "--candidates", "1,2,1"], "twice"),
        (["recommend", "{home}/run", "-k", "-3"], "k: found -3"),
        (["recommend", "{home}/run", "--candidates", "1,2", "-k", "0"], "k: found 0"),
        (["inspect", "{home}/nowhere"], "no such file"),
        (["inspect", "{home}/wrong.csv"], "row 1: column step: found -1; expected an integer from 0; also "),
        (["prepare", "cikm", "{home}/log.parquet", "--out", "{new}"], "no such source"),
        (["prepare", "log", "{home}/log.parquet", "--out", "{home}/run"], "exists already"),
        (["prepare", "log", "{home}/log.parquet", "--out", "{new}", "--top-items", "1"], "--top-items"),
        (["prepare", "log", "{home}/log.parquet", "--out", "{new}", "--max-clicks", "0"], "--max-clicks"),
        (["simulate", "--out", "{new}.parquet", "--policy", "{home}/run", "--sessions", "5"], "world"),
        (["recommend", "{home}/run", "--history", "\udcff"], "--history: found"),
        (["recommend", "{home}/run", "--context", "device=\udcff"], "--context: found"),
        (
            [
                "simulate",
                "--out",
                "{home}/none.csv",
                "--policy",
                "max",
                "--sessions",
                "5",
                "--world",
                "{home}/WORLD.json",
            ],
            "none.csv: is a directory",
        ),
        (["evaluate", "{home}/run", "--world", "{home}/deep.json"], "deep.json: not valid JSON"),
        (["evaluate", "{home}/run", "--world", "{home}/long.json"], "long.json: not valid JSON"),
        (["demo", "--out", "{home}/run"], "exists already"),
    ],
)
def test_wrong_input_is_named_in_one_line(
    argv: list[str], named: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(home.rglob("*"))
    answer = refused(capsys, *(part.format(home=home, new=tmp_path / "new") for part in argv))
    assert named in answer
    assert not list(tmp_path.iterdir())
    assert sorted(home.rglob("*")) == before


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    content=st.binary(max_size=300),
    name=st.sampled_from(["log.parquet", "log.csv", "log.jsonl", "log.csv.gz", "log.jsonl.zst"]),
)
def test_no_bytes_make_a_command_fail_but_with_a_line(
    content: bytes, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert "error: " in refused(capsys, "inspect", path)
    assert name in refused(capsys, "train", path, "--recipe", "pg", "--out", tmp_path / "new")
    path.unlink()
    assert not list(tmp_path.iterdir())


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_truncated_log_is_refused(
    data: st.DataObject, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (home / "log.parquet").read_bytes()
    length = data.draw(st.integers(0, len(whole) - 1))
    (tmp_path / "cut.parquet").write_bytes(whole[:length])
    assert "cut.parquet" in refused(capsys, "inspect", tmp_path / "cut.parquet")


LIMITED = """
import contextlib, io, json, os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
from irecgan.cli import main
"""
ONE = LIMITED + "sys.exit(main(sys.argv[1:]))"
ALL = (
    LIMITED
    + """
for argv in json.loads(sys.argv[1]):
    with contextlib.redirect_stderr(io.StringIO()) as told:
        code = main(argv)
    print(json.dumps([code, told.getvalue(), os.listdir(os.path.dirname(argv[-1]))]))
"""
)


@pytest.mark.parametrize("limit", [0, 2_000])
def test_no_space_left_is_one_line_and_leaves_nothing_half_written(limit: int, home: Path, tmp_path: Path) -> None:
    commands = {
        "log.parquet": ["simulate", "--policy", "random", "--sessions", "500", "--out"],
        "log.csv": ["simulate", "--policy", "random", "--sessions", "500", "--out"],
        "prepared": ["prepare", "log", str(home / "log.parquet"), "--out"],
    }
    argvs = json.dumps([[*argv, str(tmp_path / name)] for name, argv in commands.items()])
    command = [sys.executable, "-c", ALL.format(limit=limit), argvs]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not done.stderr
    for name, line in zip(commands, done.stdout.splitlines(), strict=True):
        code, told, left = json.loads(line)
        assert code == 2, told
        assert complaints(told) == 1
        assert "Traceback" not in told
        assert str(tmp_path / name) in told or "WORLD.json" in told
        assert not left


@pytest.mark.parametrize("limit", [400, 6_000])
def test_a_training_out_of_space_says_so_and_can_go_on(limit: int, home: Path, tmp_path: Path) -> None:
    argv = ["train", str(home / "log.parquet"), "--recipe", "pg", "--out", str(tmp_path / "run"), *TINY_OPTIONS]
    done = subprocess.run(
        [sys.executable, "-c", ONE.format(limit=limit), *argv], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert complaints(done.stderr) == 1
    assert str(tmp_path / "run") in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run" / "run.json").exists()
    assert main([*argv, *(["--resume"] if (tmp_path / "run").exists() else [])]) == 0
