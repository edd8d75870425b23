"""The documents say what is true."""

import importlib
import re
from pathlib import Path

import pytest

from irecgan.cli import COMMANDS
from irecgan.training.recipes import RECIPES

ROOT = Path(__file__).parents[1]
ROW = re.compile(r"^\| \((\d+)\) \| [^|]+ \| `([\w.]+)` \| `([\w./]+)::(\w+)` \|$", re.MULTILINE)


def equations() -> list[tuple[str, str, str, str]]:
    return ROW.findall((ROOT / "docs" / "equations.md").read_text())


@pytest.mark.parametrize("row", equations(), ids=lambda row: f"{row[0]}-{row[1].rsplit('.', 1)[1]}")
def test_every_equation_has_its_function_and_its_test(row: tuple[str, str, str, str]) -> None:
    number, function, file, test = row
    module, name = function.rsplit(".", 1)
    docstring = getattr(importlib.import_module(module), name).__doc__
    named = re.findall(r"Eq\. ((?:\(\d+\)(?:, | and )?)+)", docstring)
    assert f"({number})" in "".join(named), f"{function} does not name Eq. ({number})"
    assert f"def {test}(" in (ROOT / file).read_text()


def test_no_equation_is_missing() -> None:
    assert {int(row[0]) for row in equations()} == set(range(1, 13))


def test_the_readme_names_every_command_and_recipe() -> None:
    readme = (ROOT / "README.md").read_text()
    for command in COMMANDS:
        assert f"irecgan {command}" in readme, command
    for recipe in RECIPES:
        assert f"`{recipe}`" in readme, recipe


def test_links_between_documents_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!http|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_metric_of_a_training_is_explained() -> None:
    table = (ROOT / "docs" / "architecture.md").read_text().split("## Metrics")[1]
    sources = (ROOT / "src" / "irecgan" / "training").rglob("*.py")
    logged = {name for path in sources for name in re.findall(r'"([a-z]+/[a-z_]+)"', path.read_text())}
    assert len(logged) > 20
    assert {name for name in logged if f"`{name}`" not in table} == set()


def test_the_layers_of_the_architecture_exist() -> None:
    table = (ROOT / "docs" / "architecture.md").read_text()
    for name in re.findall(r"`([\w/]+/|[\w/]+\.py)`", table.split("## Data flow")[0]):
        assert (ROOT / "src" / "irecgan" / name).exists(), name
