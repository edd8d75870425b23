import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from irecgan.data.features import Code, Column, Kind, Value, texts
from irecgan.data.fitting import Wanted, fit, parse_wanted
from irecgan.errors import UserError

FRAME = pl.DataFrame(
    {
        "id": [1, 2, 3, 4],
        "price": [1.0, 3.0, None, 5.0],
        "brand": ["a", "b", "a", "a"],
        "tags": [["x", "y"], ["x"], ["x", "y", "rare"], None],
    }
)


def fitted(frame: pl.DataFrame = FRAME, wanted: str = "all", *, own_missing: bool = True) -> Code:
    return fit(
        lambda: frame.iter_slices(2),
        parse_wanted(wanted, "item_features"),
        "items.csv",
        besides=["id"],
        own_missing=own_missing,
    )


def dense(code: Code, frame: pl.DataFrame) -> list[list[float]]:
    rows = code.encode(frame, "items")
    found = torch.zeros(len(rows), code.features + len(code.columns))
    for row in range(len(rows)):
        span = slice(int(rows.start[row]), int(rows.start[row + 1]))
        found[row].index_add_(0, rows.feature[span], rows.weight[span])
    return [[round(x, 4) for x in row] for row in found.tolist()]


def test_columns_become_features_as_computed_by_hand() -> None:
    code = fitted()
    price, brand, tags = code.columns
    assert (price.kind, price.mean, round(price.scale, 4), price.missing) == ("number", 3.0, 1.633, True)
    assert (brand.kind, brand.values, brand.missing) == ("category", ("a",), False)  # a single row has b
    assert (tags.kind, tags.values, tags.missing) == ("list", ("x", "y"), True)
    assert code.features == 2 + 1 + 3
    third, pair = 3**-0.5, 2**-0.5
    assert dense(code, FRAME) == [
        [-1.2247, 0, 1, round(pair, 4), round(pair, 4), 0, 0, 0, 0],
        [0, 0, 0, 1, 0, 0, 0, 1, 0],  # b is not known: the average of brand
        [0, 1, 1, round(third, 4), round(third, 4), 0, 0, 0, 0],  # of three tags two are known
        [1.2247, 0, 1, 0, 0, 1, 0, 0, 0],
    ]


def test_averages_are_means_over_all_rows() -> None:
    code = fitted()
    expected = torch.zeros(3, 6)
    expected[0, 1] = 0.25  # of price missing
    expected[1, 2] = 0.75  # a
    expected[2, 3:] = torch.tensor([1 + 2**-0.5 + 3**-0.5, 2**-0.5 + 3**-0.5, 1.0]) / 4
    torch.testing.assert_close(code.averages, expected)


def test_without_a_feature_of_their_own_missing_values_are_average() -> None:
    code = fitted(own_missing=False)
    assert not any(column.missing for column in code.columns)
    assert dense(code, FRAME[2:3])[0][-3:] == [1, 0, 0]
    assert code.columns[2].average == pytest.approx([(1 + 2**-0.5 + 3**-0.5) / 3, (2**-0.5 + 3**-0.5) / 3])


def test_numbers_are_cut_and_what_was_never_seen_is_average() -> None:
    code = fitted()
    strange = pl.DataFrame({"price": [1e9, -1e9], "brand": ["z", None], "tags": [[], ["rare"]]})
    assert dense(code, strange) == [[5, 0, 0, 0, 0, 1, 0, 1, 0], [-5, 0, 0, 0, 0, 0, 0, 1, 1]]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["a", " ", None], "category", ["a", None, None]),
        ([3.0, 2.5, None], "category", ["3", "2.5", None]),  # whole numbers beside a gap are read as floats
        ([True, False], "category", ["true", "false"]),
        ([1.0, None], "list", [["1"], None]),
        ([[1.0, 2.0, None], []], "list", [["1", "2"], None]),
        ([["a b", "c"], ["c", "c"]], "list", [["a b", "c"], ["c"]]),
        ([" a  b ", ""], "list", [["a", "b"], None]),
    ],
)
def test_values_as_text(values: list[Any], kind: Kind, expected: list[Any]) -> None:
    assert texts(pl.Series("x", values), kind, "items").to_list() == expected


def test_single_values_are_coded_like_columns() -> None:
    frame = pl.DataFrame({"size": [3.0, None, 3.0], "new": [True, False, True], "tags": [["a b", "c"], None, ["c"]]})
    code = fit(
        lambda: iter([frame] * 2), parse_wanted("size:category,new,tags", "x"), "x", besides=[], own_missing=True
    )
    expected = code.encode(frame[:1], "x").feature.sort().values
    given: list[Mapping[str, Value]] = [
        {"size": 3, "new": True, "tags": ["a b", "c"]},
        {"size": "3", "new": "true", "tags": ("c", "a b")},
        {"size": 3.0, "new": True, "tags": ["c", "a b", "c"]},
    ]
    for values in given:
        assert torch.equal(code.encode_values(values, "context").feature.sort().values, expected)
    with pytest.raises(UserError, match="context: column size: found type List"):
        code.encode_values({"size": ["3"]}, "context")


@pytest.mark.parametrize("written", [[True, False], ["True", "False"], ["true", "FALSE"], ["true", "false"]])
@pytest.mark.parametrize("given", [True, "True", "TRUE", "true"])
def test_truths_are_the_same_however_they_are_written(written: list[Any], given: Value) -> None:
    code = fitted(pl.DataFrame({"id": range(5), "new": [*(written * 2), None]}), "new")
    assert code.columns[0].values == ("false", "true")
    assert code.encode_values({"new": given}, "--context").feature.tolist() == [1]
    assert code.encode_values({}, "--context").feature.tolist() == [2]


def test_truths_of_a_run_of_before_are_known_and_other_text_keeps_its_case() -> None:
    column = Column(name="new", kind="category", values=("True", "False"), average=(0.5, 0.5))
    assert Code(columns=(column,)).encode_values({"new": "true"}, "--context").feature.tolist() == [0]
    code = fitted(pl.DataFrame({"id": range(6), "new": ["True", "true", "no"] * 2}), "new")
    assert code.columns[0].values == ("True", "no", "true")
    assert code.encode_values({"new": "true"}, "--context").feature.tolist() == [2]


def test_parts_change_nothing() -> None:
    whole = fit(lambda: iter([FRAME]), None, "items", besides=["id"], own_missing=True)
    for one, other in zip(whole.columns, fitted().columns, strict=True):
        assert one.model_dump(exclude={"mean", "scale"}) == other.model_dump(exclude={"mean", "scale"})
        assert (one.mean, one.scale) == pytest.approx((other.mean, other.scale))


def test_a_code_survives_json() -> None:
    code = fitted()
    again = Code.model_validate_json(code.model_dump_json())
    assert again == code
    assert dense(again, FRAME) == dense(code, FRAME)


def test_text_that_is_all_numbers_is_numbers_and_kinds_may_be_said() -> None:
    frame = pl.DataFrame({"hour": ["1", "2", "2", "1"], "flags": ["x y", "x", "y", "x"]})
    kinds = {name: fitted(frame, name).columns[0] for name in ("hour", "hour:category", "flags", "flags:list")}
    assert [column.kind for column in kinds.values()] == ["number", "category", "category", "list"]
    assert kinds["hour:category"].values == ("1", "2")
    assert kinds["flags:list"].values == ("x", "y")


def test_values_written_as_text_are_one_row() -> None:
    code = fitted()
    rows = code.encode_values({"price": "3", "tags": "x y"}, "--context")
    assert dense(code, pl.DataFrame({"price": [3.0], "brand": [None], "tags": [["x", "y"]]})) == dense_rows(code, rows)
    with pytest.raises(UserError, match="--context: found 'colour'; expected one of price, brand, tags"):
        code.encode_values({"colour": "red"}, "--context")
    with pytest.raises(UserError, match="--context: row 1: column price: found 'dear'; expected a finite number"):
        code.encode_values({"price": "dear"}, "--context")


def dense_rows(code: Code, rows: object) -> list[list[float]]:
    found = torch.zeros(1, code.features + len(code.columns))
    found[0].index_add_(0, rows.feature, rows.weight)  # type: ignore[attr-defined]
    return [[round(x, 4) for x in row] for row in found.tolist()]


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("colour", None, "missing column colour; found columns id, price"),
        ("id", None, "column id: is no feature; it has a meaning of its own"),
        ("x", [1.0, float("nan"), 2.0, 3.0], "row 2: column x: found nan; expected a finite number or nothing"),
        ("x", [1.0, 2.0, 3.0, float("inf")], "row 4: column x: found inf; expected a finite number or nothing"),
        ("x", [1.0, 2.0, -1e155, None], r"row 3: column x: found -1e\+155; expected a number within \+-1e\+100 or"),
        ("x:number", ["1", "2", "3", "cheap"], "row 4: column x: found 'cheap'; expected a finite number or nothing"),
        ("x", [2.0] * 4, "column x: tells nothing; expected values that differ"),
        ("x", ["only"] * 4, "column x: tells nothing"),
        ("x", ["a", "b", "c", "d"], "column x: tells nothing"),
        ("x", [None] * 4, "column x: found type Null"),
        (
            "x:category",
            [["a"], ["b"], [], []],
            r"column x: found type List\(String\); expected one that can be a category",
        ),
        ("x", [{"a": 1}] * 4, "column x: found type Struct"),
        ("x", [[{"a": 1}]] * 4, "column x: found type List"),
        ("x:number", [["1"]] * 4, "column x: found type List.*; expected one that can be a number"),
        ("x,x", [1, 2, 3, 4], "setting item_features: found 'x,x'; expected names of columns, each once, or all"),
        ("", None, "setting item_features: found ''"),
    ],
)
def test_what_is_no_feature_is_named(column: str, values: list[object] | None, message: str) -> None:
    frame = FRAME if values is None else FRAME.with_columns(pl.Series("x", values))
    with pytest.raises(UserError, match=message):
        fitted(frame, column)


def test_of_all_columns_those_that_tell_nothing_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    frame = FRAME.with_columns(pl.lit(1).alias("constant"), pl.lit("2020-01-01").str.to_date().alias("date"))
    with caplog.at_level(logging.WARNING):
        assert fitted(frame).names == ["price", "brand", "tags"]
    assert "items.csv: column constant: tells nothing" in caplog.text
    assert "items.csv: column date: found type Date" in caplog.text
    with pytest.raises(UserError, match="found no column that can be a feature"):
        fitted(frame.select("id", "constant"))


def test_wanted_columns_may_hold_colons() -> None:
    assert parse_wanted("a:b,c:list", "s") == (Wanted("a:b"), Wanted("c", "list"))


def test_a_code_that_was_tampered_with_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        Column(name="x", kind="number", scale=0, average=(0.0,))
