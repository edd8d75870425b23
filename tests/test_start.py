"""What a process loads that learns or serves: every command waits for it, and holds it."""

import json
import subprocess
import sys
from pathlib import Path

from small_logs import TINY, small_log

HEAVY = ("torch._dynamo", "sympy", "matplotlib", "networkx", "ray", "lightgbm")
WORK = """
import json, sys, irecgan
log, run, settings, *heavy = sys.argv[1:]
irecgan.train(log, recipe="irecgan", out=run, settings=json.loads(settings))
irecgan.load_policy(run).recommend([], 2)
print(*[name for name in heavy if name in sys.modules])
"""


def test_learning_and_serving_load_neither_compilers_nor_plots(tmp_path: Path) -> None:
    log, run = tmp_path / "log.parquet", tmp_path / "run"
    small_log(sessions=20).write(log)
    command = [sys.executable, "-c", WORK, str(log), str(run), json.dumps(TINY), *HEAVY]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
