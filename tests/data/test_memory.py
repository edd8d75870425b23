"""What memory is free: the least that machine, control groups and limits leave."""

import resource
from pathlib import Path

import pytest

from irecgan.data import memory

VERSION_1 = {"memory.limit_in_bytes": "{}", "memory.usage_in_bytes": "{}", "memory.stat": "cache 1\ntotal_cache {}"}
VERSION_2 = {"memory.max": "{}", "memory.current": "{}", "memory.stat": "anon 7\nfile {}"}


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 1,000,000 kB free, and no control groups yet."""
    for name in ("_PROCESS", "_GROUPS"):
        monkeypatch.setattr(memory, name, tmp_path / name)
        (tmp_path / name).mkdir()
    monkeypatch.setattr(memory, "_of_machine", lambda: 1e9)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return tmp_path


def group(kernel: Path, name: str, files: dict[str, str], *values: object) -> None:
    folder = kernel / "_GROUPS" / name
    folder.mkdir(parents=True, exist_ok=True)
    for (file, text), value in zip(files.items(), values, strict=True):
        (folder / file).write_text(text.format(value) + "\n")


def belongs_to(kernel: Path, *lines: str) -> None:
    (kernel / "_PROCESS" / "cgroup").write_text("".join(f"{line}\n" for line in lines))


def test_a_group_of_version_1_bounds_it(kernel: Path) -> None:
    belongs_to(kernel, "5:devices:/", "4:memory:/jobs/7", "0::/")
    group(kernel, "memory", VERSION_1, 2**63 - 4096, 900, 10)
    assert memory.free_memory() == 1e9
    group(kernel, "memory/jobs/7", VERSION_1, 5_000, 900, 10)
    assert memory.free_memory() == 4_110
    group(kernel, "memory/jobs", VERSION_1, 4_000, 3_900, 0)
    assert memory.free_memory() == 100


def test_a_group_of_version_2_bounds_it(kernel: Path) -> None:
    belongs_to(kernel, "0::/user.slice/shell:1.scope")
    group(kernel, "user.slice", VERSION_2, "max", 900, 10)
    assert memory.free_memory() == 1e9
    group(kernel, "user.slice/shell:1.scope", VERSION_2, 5_000, 900, 10)
    assert memory.free_memory() == 4_110


@pytest.mark.parametrize(
    ("line", "top", "files"), [("4:memory:/docker/9", "memory", VERSION_1), ("0::/../9", "", VERSION_2)]
)
def test_a_container_finds_its_own_group_at_the_top(line: str, top: str, files: dict[str, str], kernel: Path) -> None:
    belongs_to(kernel, line)
    group(kernel, top, files, 5_000, 900, 10)
    assert memory.free_memory() == 4_110


def test_a_limit_of_address_space_bounds_it(kernel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (10**8, resource.RLIM_INFINITY))
    (kernel / "_PROCESS" / "statm").write_text("100 7 0\n")
    assert memory.free_memory() == 10**8 - 100 * resource.getpagesize()
    (kernel / "_PROCESS" / "statm").write_text(f"{10**8} 7 0\n")
    assert memory.free_memory() == 0


def test_what_no_kernel_tells_is_unknown(kernel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_of_machine", lambda: None)
    assert memory.free_memory() is None
