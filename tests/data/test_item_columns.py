"""Columns of items from files and sources into ``items.parquet``."""

import json
from pathlib import Path

import polars as pl
import pytest

from irecgan.data.item_columns import item_table, read_item_columns
from irecgan.data.prepare import prepare
from irecgan.errors import UserError
from small_logs import small_log


def test_items_shown_come_first_and_the_others_that_are_told_of_after_them() -> None:
    told = pl.DataFrame({"item_id": ["7", "9", "1", "3"], "price": [7.0, 9.0, 1.0, 3.0]})
    table = item_table(pl.Series([1, 2, 7]), told, "items.csv")
    assert table.rows() == [(1, 1.0), (2, None), (7, 7.0), (9, 9.0), (3, 3.0)]
    named = item_table(pl.Series(["1", "x"]), told, "items.csv")
    assert named["item_id"].to_list() == ["1", "x", "7", "9", "3"]
    with pytest.raises(UserError, match=r"items\.csv: column item_id: found '07'; expected an integer"):
        item_table(pl.Series([1]), told.with_columns(item_id=pl.Series(["07", "9", "1", "3"])), "items.csv")


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_prepare_writes_what_a_file_tells(suffix: str, tmp_path: Path) -> None:
    small_log().write(tmp_path / "log.parquet")
    table = pl.DataFrame({"item_id": range(1, 11), "price": [0.5 * i for i in range(10)], "kind": list("ababababab")})
    path = tmp_path / f"items.{suffix}"
    {"csv": table.write_csv, "parquet": table.write_parquet, "jsonl": table.write_ndjson}[suffix](path)  # type: ignore[operator]
    report = prepare("log", [tmp_path / "log.parquet"], tmp_path / "out", items=path)
    items = pl.read_parquet(tmp_path / "out" / "items.parquet")
    assert items["item_id"].to_list() == [*range(8), 8, 9, 10]
    assert items["kind"].to_list() == [None, *"ababababab"]
    assert items["price"].cast(pl.Float64).to_list() == [None, *(0.5 * i for i in range(10))]
    expected = {"told": 10, "columns": ["price", "kind"], "without": 1, "new": 3}
    assert json.loads((tmp_path / "out" / "prepare.json").read_text())["items"] == expected
    assert report.catalogue == 8


def test_without_columns_of_items_nothing_changes(tmp_path: Path) -> None:
    small_log().write(tmp_path / "log.parquet")
    report = prepare("log", [tmp_path / "log.parquet"], tmp_path / "out")
    assert pl.read_parquet(tmp_path / "out" / "items.parquet").columns == ["item_id"]
    assert "items" not in report.to_json()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,price\n1,2\n", "missing column item_id; found columns id, price"),
        ("item_id\n1\n", "found no column but item_id; expected columns that tell of items"),
        ("item_id,price\n1,2\n1,3\n", "row 2: column item_id: found '1'; expected one row an item"),
        ("item_id,price\n1,2\n,3\n", "row 2: column item_id: found None; expected an item id"),
        ("item_id,price\n1,2\n2\n", "row 2: found 1 fields; expected 2"),
        ("item_id,price\n", "has no rows"),
        ("item_id,price,price\n1,2,3\n", "column price: found twice"),
    ],
)
def test_wrong_files_of_items_are_named_and_nothing_is_written(text: str, message: str, tmp_path: Path) -> None:
    small_log().write(tmp_path / "log.parquet")
    (tmp_path / "items.csv").write_text(text)
    with pytest.raises(UserError, match=rf"items\.csv: {message}"):
        prepare("log", [tmp_path / "log.parquet"], tmp_path / "out", items=tmp_path / "items.csv")
    assert not (tmp_path / "out").exists()


def test_rows_of_several_files_of_items_are_counted_in_their_own(tmp_path: Path) -> None:
    for name, ids, prices in (("a", [1, 2], [1.0, 2.0]), ("b", [3, 2], [3.0, 4.0]), ("c", [5, 6], [5.0, float("inf")])):
        pl.DataFrame({"item_id": ids, "price": prices}).write_parquet(tmp_path / f"{name}.parquet")
    with pytest.raises(UserError, match=rf"{tmp_path}/b\.parquet: row 2: column item_id: found 2; expected one row"):
        read_item_columns(tmp_path)
    (tmp_path / "b.parquet").unlink()
    with pytest.raises(UserError, match=rf"{tmp_path}/c\.parquet: row 2: column price: found inf"):
        read_item_columns(tmp_path)
    (tmp_path / "c.parquet").unlink()
    assert read_item_columns(tmp_path).columns == ["item_id", "price"]
    pl.DataFrame({"id": [1], "price": [1.0]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"missing column item_id; found columns id, price$"):
        read_item_columns(tmp_path)


def test_numbers_that_are_none_and_ids_of_another_kind_are_named(tmp_path: Path) -> None:
    pl.DataFrame({"item_id": [1, 2], "price": [1.0, float("nan")]}).write_parquet(tmp_path / "nan.parquet")
    with pytest.raises(UserError, match=r"nan\.parquet: row 2: column price: found nan"):
        read_item_columns(tmp_path / "nan.parquet")
    pl.DataFrame({"item_id": [1.5, 2.0], "price": [1.0, 2.0]}).write_parquet(tmp_path / "ids.parquet")
    with pytest.raises(UserError, match=r"ids\.parquet: column item_id: found type Float64; expected integers"):
        read_item_columns(tmp_path / "ids.parquet")
    with pytest.raises(UserError, match=r"nowhere\.csv: no such file"):
        read_item_columns(tmp_path / "nowhere.csv")
