"""What is written is there whole or not at all, and errors name the file that a user knows."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from irecgan.errors import UserError
from irecgan.files import atomic_directory, atomic_path, file_errors, write_text


def test_an_error_names_the_file_and_not_its_temporary_one(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    with pytest.raises(OSError, match="full") as caught, atomic_path(out) as temporary:
        raise OSError(28, "full", str(temporary))
    assert caught.value.filename == str(out)
    with pytest.raises(OSError, match="full") as caught, atomic_directory(tmp_path / "d") as temporary:
        raise OSError(28, "full", str(temporary / "part" / ".x.csv"))
    assert caught.value.filename == str(tmp_path / "d" / "part" / ".x.csv")
    assert not list(tmp_path.iterdir())


def write_beside(folder: Path) -> None:
    write_text(folder / "other.txt", "of somebody else")
    raise UserError("wrong")


@pytest.mark.parametrize("makes", [atomic_directory, atomic_path])
def test_folders_made_above_go_where_nothing_is_written(
    makes: Callable[[Path], AbstractContextManager[Path]], tmp_path: Path
) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError), makes(tmp_path / "there" / "new" / "newer" / "out"):
        raise UserError("wrong")
    assert list(tmp_path.rglob("*")) == [tmp_path / "there"]
    with pytest.raises(UserError), makes(tmp_path / "new" / "newer" / "out"):
        write_beside(tmp_path / "new")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["other.txt"]
    with makes(tmp_path / "kept" / "out"):
        pass
    assert (tmp_path / "kept" / "out").exists()


def test_an_error_without_a_file_gets_one_and_others_keep_theirs(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="full") as caught, file_errors(tmp_path):
        raise OSError("disk full")
    assert caught.value.filename == str(tmp_path)
    with pytest.raises(FileNotFoundError) as missing, file_errors(tmp_path):
        (tmp_path / "no" / "such").read_text()
    assert missing.value.filename == str(tmp_path / "no" / "such")


def test_a_file_below_a_file_is_refused(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "")
    with pytest.raises(OSError, match="file"):
        write_text(tmp_path / "file" / "below", "")
