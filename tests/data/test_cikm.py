from pathlib import Path

import pytest

from irecgan.cli import main
from irecgan.data.filters import SessionLength
from irecgan.data.prepare import prepare
from irecgan.data.sources.cikm import read_cikm
from irecgan.data.validation import validated
from irecgan.errors import UserError
from irecgan.seeding import Streams

QUERIES = """queryId;sessionId;userId;timeframe;duration;eventdate;searchstring.tokens;categoryId;items;is.test
1;7;NA;1000;300;2016-05-09;;0;11,12,13;FALSE
2;7;NA;9000;300;2016-05-09;"123,456";0;13,14;FALSE
3;7;NA;20000;300;2016-05-09;;0;15,16;FALSE
4;8;55;100;12;2016-05-08;"9";3;11,12;FALSE
5;9;56;100;12;2016-05-10;"9";3;11,12;TRUE
6;9;56;200;12;2016-05-10;"9";3;;FALSE
"""
CLICKS = """queryId;timeframe;itemId
2;9500;14
1;1500;12
1;2500;11
4;200;12
4;400;12
77;1;11
"""
PURCHASES = """sessionId;userId;timeframe;eventdate;ordernumber;itemId
7;NA;30000;2016-05-09;100;14
8;55;3000;2016-05-08;101;12
8;55;3000;2016-05-08;101;99
"""


@pytest.fixture
def cup(tmp_path: Path) -> Path:
    folder = tmp_path / "cup"
    folder.mkdir()
    for name, text in (("queries", QUERIES), ("clicks", CLICKS), ("purchases", PURCHASES)):
        (folder / f"train-{name}.csv").write_text(text)
    return folder


def test_clicks_become_steps_in_time_order(cup: Path) -> None:
    raw = read_cikm([cup], Streams(0))
    rows = raw.frame.select("session_id", "step", "slate", "click", "reward").rows()
    assert rows == [
        ("7", 0, ["11", "12", "13"], "12", 0),
        ("7", 1, ["11", "12", "13"], "11", 0),
        ("7", 2, ["13", "14"], "14", 1),
        ("8", 0, ["11", "12"], "12", 0),
        ("8", 1, ["11", "12"], "12", 1),
    ]
    assert raw.frame["user_id"].to_list() == [None, None, None, "55", "55"]
    assert raw.left_out == {
        "query whose clicks are withheld, or without a list": 2,
        "query without a click": 1,
        "click on no known list": 1,
        "item bought without a click": 1,
    }
    validated(raw.frame, "cup")


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("train-queries.csv", "sessionId;userId", "userId;visit", "missing column sessionId"),
        ("train-queries.csv", "1;7;NA;1000", "1;7;NA;soon", "row 2: column timeframe: found 'soon'"),
        ("train-queries.csv", "2016-05-08", "08.05.2016", "row 5: column eventdate"),
        ("train-queries.csv", "\n2;", "\n1;", "column queryId: found '1' twice"),
        ("train-queries.csv", "13,14", "13|14", "row 3: column items"),
        ("train-clicks.csv", "queryId;timeframe;itemId", "itemId;timeframe;query", "missing column queryId"),
        ("train-clicks.csv", "2;9500", "2;", "row 2: column timeframe: found None"),
    ],
)
def test_damaged_files_are_named(file: str, old: str, new: str, message: str, cup: Path) -> None:
    path = cup / file
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(UserError, match=message) as caught:
        read_cikm([cup], Streams(0))
    assert str(path) in str(caught.value)


def test_a_step_stands_where_its_query_does(cup: Path) -> None:
    path = cup / "train-queries.csv"
    path.write_text(path.read_text().replace("4;8;55", "4;NA;55"))
    with pytest.raises(UserError, match=rf"{path}: row 5: column session_id: found nothing"):
        prepare("cikm2016", [cup], cup.parent / "out")


def test_a_missing_file_is_named(cup: Path) -> None:
    (cup / "train-purchases.csv").unlink()
    with pytest.raises(UserError, match=r"train-purchases\.csv: no such file"):
        read_cikm([cup], Streams(0))
    with pytest.raises(UserError, match="expected one directory"):
        read_cikm([cup / "train-clicks.csv"], Streams(0))


def raw_cup(folder: Path) -> Path:
    """80 sessions on a list of two items: 8 of one click, 72 of two, of which one is bought after."""
    folder.mkdir()
    rows = [f"{q};{q};{q};100;3;2016-05-09;;0;11,12;FALSE" for q in range(80)]
    clicks = [f"{q};{150 + n};1{1 + n}" for q in range(80) for n in range(1 if q < 8 else 2)]
    (folder / "train-queries.csv").write_text("\n".join([QUERIES.splitlines()[0], *rows]) + "\n")
    (folder / "train-clicks.csv").write_text("\n".join(["queryId;timeframe;itemId", *clicks]) + "\n")
    (folder / "train-purchases.csv").write_text(f"{PURCHASES.splitlines()[0]}\n40;40;900;2016-05-09;1;12\n")
    return folder


def test_the_papers_filters_and_shares_are_taken_unless_others_are_given(tmp_path: Path) -> None:
    cup = raw_cup(tmp_path / "cup")
    report = prepare("cikm2016", [cup], tmp_path / "out", split="user")
    assert [record.name for record in report.records][2:] == ["top-items", "session-length"]
    assert [part.sessions for part in report.parts.values()] == [68, 2, 2]
    assert sum(part.rewarded for part in report.parts.values()) == 1
    other = prepare("cikm2016", [cup], tmp_path / "other", filters=[SessionLength(1)], shares=(0.8, 0.1, 0.1))
    assert [part.sessions for part in other.parts.values()] == [64, 8, 8]


def test_counts_are_printed_beside_the_papers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["prepare", "cikm2016", str(raw_cup(tmp_path / "cup")), "--out", str(tmp_path / "out")]
    assert main(argv) == 0
    printed = capsys.readouterr().out
    train = next(line.split() for line in printed.splitlines() if line.startswith("train"))
    assert train[:5] == ["train", "68", "136", "136", "2"]
    assert train[-3:] == ["65284", "2.81", "2.31%"]
    assert "* in Bai, Guan and Wang (2019), section 7.2" in printed


def test_wrong_shares_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for shares in ("1,2", "a,b,c", "1,0,1", "1,inf,1"):
        out = tmp_path / "out"
        argv = ["prepare", "cikm2016", str(tmp_path), "--out", str(out), "--shares", shares]
        assert main(argv) == 2
        assert capsys.readouterr().err.startswith(f"error: --shares: found '{shares}'")
        assert not out.exists()
