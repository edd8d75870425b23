from pathlib import Path

import polars as pl
import pytest

from irecgan.data.sources.interface import Raw
from irecgan.data.sources.registry import SOURCES
from irecgan.data.validation import validated
from irecgan.errors import UserError
from irecgan.seeding import Streams

MARS_GYM = """session_id,user_id,timestamp,action_type,item_id,impressions
s1,u1,30,clickout item,2,"['1', '2', '3']"
s1,u1,10,interaction item info,1,
s1,u1,20,clickout item,1,"['1', '2', '3']"
s2,u2,5,clickout item,9,"['4', '5']"
"""

BOUGHT = {"u1": "111010000", "u2": "000000000", "u3": "111111111"}  # items 0 .. 8 of each user

RAW = """user_id,session_id,timestamp,step,action_type,reference,platform,city,device,current_filters,impressions,prices
u1,s1,10,2,clickout item,7,AU,Sydney, Australia,mobile,,7|8|9,1|2|3
u1,s1,10,1,search for poi,Newtown,AU,Sydney, Australia,mobile,,,
u1,s1,11,3,clickout item,,AU,Sydney, Australia,mobile,,7|8,1|2
u2,s2,12,1,clickout item,8,AU,Perth, Australia,mobile,a|b,8|9,1|2
"""


def read(source: str, *paths: Path, seed: int = 0) -> Raw:
    return SOURCES[source].read(paths, Streams(seed))


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def steps(frame: pl.DataFrame) -> list[tuple[object, ...]]:
    return frame.select("session_id", "step", "slate", "click").rows()


def test_canonical_files_are_put_together(tmp_path: Path) -> None:
    one = write(tmp_path / "a.csv", "session_id,step,slate,click\n1,0,5 6,5\n")
    other = write(tmp_path / "b.csv", "session_id,step,slate,click\n2,0,6 7,\n")
    raw = read("log", one, other)
    assert raw.rows == 2
    assert raw.frame["slate"].to_list() == [["5", "6"], ["6", "7"]]


def test_ids_with_gaps_are_those_of_the_other_files(tmp_path: Path) -> None:
    gaps = pl.DataFrame({"session_id": [1.0, 1.0], "step": [0, 1], "slate": [[5, 6]] * 2, "click": [5.0, None]})
    gaps.write_parquet(tmp_path / "a.parquet")
    text = write(tmp_path / "b.csv", "session_id,step,slate,click\n2,0,6 7,7\n")
    frame = validated(read("log", tmp_path / "a.parquet", text).frame, "x")
    assert steps(frame) == [(1, 0, [5, 6], 5), (1, 1, [5, 6], None), (2, 0, [6, 7], 7)]


def test_ids_that_floats_cannot_tell_apart_are_refused(tmp_path: Path) -> None:
    large = pl.DataFrame({"session_id": [2.0**60], "step": [0], "slate": [[5, 6]], "click": [5]})
    large.write_parquet(tmp_path / "a.parquet")
    with pytest.raises(UserError, match="column session_id: found 1"):
        validated(read("log", tmp_path / "a.parquet").frame, "x")


def test_official_lines_may_begin_with_a_mark_of_their_encoding(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("7;0;12;11,12;1\n7;a\u2028b;;11,14;0\n", encoding="utf-8-sig")
    assert steps(read("official", path).frame) == [("7", 0, ["11", "12"], "12"), ("7", 1, ["11", "14"], None)]


def test_official_lines(tmp_path: Path) -> None:
    raw = read("official", write(tmp_path / "x.txt", "7;0;12;11, 12, 13;1\n7;3;;11,14,15;0\n8;0;2;2,3;0\n\n"))
    assert steps(raw.frame) == [
        ("7", 0, ["11", "12", "13"], "12"),
        ("7", 1, ["11", "14", "15"], None),
        ("8", 0, ["2", "3"], "2"),
    ]
    assert validated(raw.frame, "x")["reward"].to_list() == [1, 0, 0]
    assert raw.frame["state"].to_list() == ["0", "3", "0"]


def test_official_lines_with_a_missing_field_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"x\.txt: row 2: found 4 fields; expected session;state"):
        read("official", write(tmp_path / "x.txt", "7;0;12;11,12,13;1\n7;3;11,14,15;0\n"))


def test_lines_of_several_files_are_counted_in_their_own(tmp_path: Path) -> None:
    one = write(tmp_path / "1.txt", "7;0;12;11,12;1\n\n7;0;;11,12;0\n")
    two = write(tmp_path / "2.txt", "8;0;12;11,12;1\n\n;0;;11,12;0\n")
    with pytest.raises(UserError, match=rf"{two}: row 3: column session_id: found ''"):
        validated(read("official", one, two).frame, "x")


def test_rows_of_several_trivago_files_are_counted_in_their_own(tmp_path: Path) -> None:
    raw, gym = write(tmp_path / "raw.csv", RAW), write(tmp_path / "gym.csv", MARS_GYM)
    wrong = write(tmp_path / "wrong.csv", RAW.replace("7|8|9", "7||9").replace("u1,s1", "u3,s3"))
    with pytest.raises(UserError, match=rf"{wrong}: row 2: column slate: .* expected no empty item id"):
        validated(read("trivago2019", raw, gym, wrong).frame, "x")
    write(gym, MARS_GYM.replace("s2,", ","))
    with pytest.raises(UserError, match=rf"{gym}: row 5: column session_id: found nothing"):
        validated(read("trivago2019", raw, gym).frame, "x")
    write(gym, MARS_GYM.replace(",10,", ",noon,"))
    with pytest.raises(UserError, match=rf"{gym}: row 3: column timestamp: found 'noon'"):
        read("trivago2019", raw, gym)
    told = write(tmp_path / "items.csv", METADATA + ",Pool\n")
    with pytest.raises(UserError, match=rf"{told}: row 4: column item_id: found nothing; expected an item id"):
        read("trivago2019", raw, told)


def test_mars_gym_rows_in_time_order(tmp_path: Path) -> None:
    raw = read("trivago2019", write(tmp_path / "x.csv", MARS_GYM))
    assert steps(raw.frame) == [
        ("s1", 0, ["1", "2", "3"], "1"),
        ("s1", 1, ["1", "2", "3"], "2"),
        ("s2", 0, ["4", "5"], "9"),
    ]
    assert (raw.rows, raw.left_out["not a clickout"]) == (4, 1)
    assert raw.frame["last_event"].to_list() == [30, 30, 5]
    assert raw.frame["last_touched"].to_list() == ["1", "1", None]


def test_raw_trivago_rows_with_a_comma_in_the_city(tmp_path: Path) -> None:
    raw = read("trivago2019", write(tmp_path / "x.csv", RAW))
    assert steps(raw.frame) == [("s1", 0, ["7", "8", "9"], "7"), ("s2", 0, ["8", "9"], "8")]
    assert raw.left_out == {"not a clickout": 1, "clickout without a list": 0, "clicked item withheld": 1}
    assert raw.frame["reward"].to_list() == [1, 1]
    assert raw.frame["last_touched"].to_list() == [None, None]  # a place is no item


def test_items_touched_in_whatever_way_but_places_and_filters_are_remembered(tmp_path: Path) -> None:
    action = "u1,s1,{},{},{},{},AU,Sydney, Australia,mobile,,{},"
    events = [("interaction item image", "8"), ("filter selection", "Pool"), ("clickout item", "7")]
    events += [("search for poi", "Newtown"), ("clickout item", "9"), ("search for item", "9"), ("clickout item", "7")]
    rows = [action.format(10 + i, i, *event, "7|8|9" * event[0].startswith("c")) for i, event in enumerate(events)]
    raw = read("trivago2019", write(tmp_path / "x.csv", "\n".join([RAW.splitlines()[0], *reversed(rows)])))
    assert raw.frame.select("click", "last_touched").rows() == [("7", "8"), ("9", "7"), ("7", "9")]
    assert raw.frame["touched_between"].to_list() == [["8"], None, ["9"]]
    assert raw.frame["touched_by_user"].null_count() == 3


def test_what_users_touched_in_earlier_sessions_is_remembered(tmp_path: Path) -> None:
    action = "{},{},{},1,{},{},AU,Sydney, Australia,mobile,,7|8|9,"
    rows = [
        action.format("u1", "s1", 10, "interaction item image", "8"),
        action.format("u1", "s1", 11, "clickout item", "9"),
        action.format("u2", "s2", 12, "clickout item", "7"),
        action.format("u1", "s3", 13, "clickout item", "8"),
        action.format("u1", "s4", 9, "clickout item", "8"),
    ]
    raw = read("trivago2019", write(tmp_path / "x.csv", "\n".join([RAW.splitlines()[0], *rows])))
    found = dict(raw.frame.select("session_id", "touched_by_user").rows())
    assert found == {"s1": ["8"], "s2": None, "s3": ["8", "8", "9"], "s4": None}


METADATA = "item_id,properties\n7,Pool|4 Star\n8,Pool\n"
DENSE = ',item_id,4 star,pool,list_metadata\n0,2,1,1,"[1, 1]"\n1,3,0,0,"[0, 0]"\n'


def test_trivago_tells_of_devices_filters_and_properties(tmp_path: Path) -> None:
    raw = read("trivago2019", write(tmp_path / "x.csv", RAW), write(tmp_path / "item_metadata.csv", METADATA))
    assert raw.frame.select("platform", "device", "filters").rows() == [
        ("AU", "mobile", None),
        ("AU", "mobile", ["a", "b"]),
    ]
    assert raw.items is not None
    assert raw.items.rows() == [("7", ["Pool", "4 Star"]), ("8", ["Pool"])]
    assert raw.rows == 4
    both = read("trivago2019", write(tmp_path / "y.csv", MARS_GYM), write(tmp_path / "dense.csv", DENSE))
    assert both.items is not None
    assert both.items.rows() == [("2", ["4_star", "pool"]), ("3", [])]
    with pytest.raises(UserError, match="found properties of items alone"):
        read("trivago2019", tmp_path / "dense.csv")


def test_the_game_shop_tells_of_portraits_and_prices(shop: Path) -> None:
    raw = read("bigdatacup2021", shop)
    assert raw.frame["portrait_1"].to_list() == [0] * len(raw.frame)
    assert raw.items is not None
    assert raw.items.columns == ["item_id", "price", "location", "vector_1"]
    assert raw.items.row(4) == ("4", 1.0, 2.0, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "row 1: found header 'a,b'"),
        (RAW + "u2,s2,12\n", "row 6: found 3 fields"),
        (RAW.replace(",12,1,", ",noon,1,"), r"row [0-9]+: column timestamp: found 'noon'"),
        ("item_id,impressions,action_type\n", "missing column user_id, session_id, timestamp"),
        ("", "has no rows"),
    ],
)
def test_damaged_trivago_files_are_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        read("trivago2019", write(tmp_path / "x.csv", text))
    with pytest.raises(UserError, match="no such file"):
        read("trivago2019", tmp_path / "nowhere.csv")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    write(
        tmp_path / "item_info.csv",
        "item_id,item_vec,price,location\n" + "".join(f"{i},x,1,{1 + i // 3}\n" for i in range(9)),
    )
    write(
        tmp_path / "sessions.csv",
        "user_id,portrait,shown\n"
        + "".join(
            f"{user},0,{' '.join(f'{i}:{b}' for i, b in enumerate(bought))}\n" for user, bought in BOUGHT.items()
        ),
    )
    return tmp_path


def test_a_purchase_is_a_step_and_the_rest_is_left(shop: Path) -> None:
    frame = read("bigdatacup2021", shop).frame
    first = frame.filter(pl.col("session_id") == "u1")
    assert sorted(first["click"].to_list()[:3]) == ["0", "1", "2"]
    assert first["click"].to_list()[3:] == ["4", None]
    assert [len(slate) for slate in first["slate"]] == [9, 8, 7, 6, 5]
    assert sorted(first["slate"][4]) == ["3", "5", "6", "7", "8"]
    assert frame.filter(pl.col("session_id") == "u2")["click"].to_list() == [None]
    bought_all = frame.filter(pl.col("session_id") == "u3")
    assert bought_all["click"].null_count() == 0
    assert len(bought_all) == 9
    validated(frame, "shop")


def test_pages_stand_in_order_and_the_seed_orders_within_them(shop: Path) -> None:
    slates = [read("bigdatacup2021", shop, seed=seed).frame["slate"][0].to_list() for seed in range(8)]
    for slate in slates:
        assert [int(item) // 3 for item in slate] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert len({tuple(slate) for slate in slates}) > 1
    assert read("bigdatacup2021", shop, seed=3).frame.equals(read("bigdatacup2021", shop, seed=3).frame)


def test_parquet_and_csv_copies_of_the_shop_agree(shop: Path, tmp_path: Path) -> None:
    other = tmp_path / "parquet"
    other.mkdir()
    pl.read_csv(shop / "item_info.csv").write_parquet(other / "item_info.parquet.snappy")
    rows = {"user_id": ["u1", "u2", "u3"], "74820": ["0"] * 3}
    rows |= {f"item_{i}": [BOUGHT[u][i] for u in rows["user_id"]] for i in range(9)}
    pl.DataFrame({**rows, "item_9": pl.Series([None] * 3, dtype=pl.String)}).write_parquet(
        other / "processed_trainset.parquet.snappy"
    )
    one, copy = read("bigdatacup2021", other), read("bigdatacup2021", shop)
    assert one.frame.equals(copy.frame)
    assert one.items is not None
    assert copy.items is not None
    assert one.items.equals(copy.items)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ("item_id,page\n0,1\n", r"item_info\.csv: missing column location"),
        ("user_id,location\n0,1\n", r"item_info\.csv: missing column item_id"),
        ("item_id,location\n0,first\n", "item 0: column location: found 'first'"),
        ("item_id,location\n0,1\n0,2\n", "column item_id: found an item twice"),
    ],
)
def test_damaged_items_of_a_shop_are_named(items: str, message: str, shop: Path) -> None:
    (shop / "item_info.csv").write_text(items)
    with pytest.raises(UserError, match=message):
        read("bigdatacup2021", shop)


def test_a_damaged_shop_is_named(shop: Path) -> None:
    with pytest.raises(UserError, match="expected one directory"):
        read("bigdatacup2021", shop / "sessions.csv")
    (shop / "sessions.csv").write_text("user_id,portrait,shown\nu1,0,0:2\n")
    with pytest.raises(UserError, match="user u1: found '2'"):
        read("bigdatacup2021", shop)
    (shop / "sessions.csv").write_text("user_id,portrait,shown\nu1,0,77:1\n")
    with pytest.raises(UserError, match="item 77 is shown"):
        read("bigdatacup2021", shop)
    (shop / "sessions.csv").write_text("user_id,portrait,shown\nu1,0,0:1 3\n")
    with pytest.raises(UserError, match="user u1: found None; expected 0 or 1"):
        read("bigdatacup2021", shop)
    (shop / "sessions.csv").unlink()
    with pytest.raises(UserError, match="no such file"):
        read("bigdatacup2021", shop)
