import sys
from pathlib import Path

import pytest

from irecgan.data.prepare import prepare
from irecgan.errors import UserError
from irecgan.execution.here import Here
from irecgan.experiments.beyond.cell import work
from irecgan.experiments.beyond.choices import agreement, choices, regret
from irecgan.experiments.beyond.claims import BETTER, NEVER_WORSE, comparisons
from irecgan.experiments.beyond.conclude import conclude
from irecgan.experiments.beyond.goals import goals
from irecgan.experiments.beyond.results import CEILING, FILTER, SHOWN, Panel, panels
from irecgan.experiments.beyond.settings import (
    AUTO,
    PRESETS,
    REFERENCES,
    BeyondCell,
    BeyondSettings,
    Block,
    WorldCell,
    cells,
)
from irecgan.experiments.beyond.tables import choice_table, distillation_table, goal_table, notes, share_table
from irecgan.experiments.frame.study import Json, run_study
from irecgan.experiments.frame.verdicts import judge
from irecgan.experiments.registry import find_experiment
from irecgan.experiments.table1.settings import NAIVE, SHOP, Shop, Table1Cell
from irecgan.worlds.mdp import MDPSpec, MDPWorld
from irecgan.worlds.oracle import reference_values
from small_logs import small_log, small_world

HISTORY = "dirichlet:0.02"
SMALL = Block(law="softmax", logs=("mix",), sessions=60, states=3, items=12, slate_size=4)
SETTINGS = BeyondSettings(
    blocks=(Block(law=HISTORY, logs=("mix", "random"), sessions=1_000), SMALL.model_copy(update={"seeds": 1})),
    models=("pg", "slate", "latent"),
    seeds=3,
    shop=Shop(items=300, sessions=400, evaluation_sessions=50),
    list_models=("pg",),
    shop_seeds=2,
)
WORTH = {"count": 4.0, "pg": 5.0, "latent": 8.0, "latent-distilled": 7.0}
"""What each earns in the world of the Dirichlet law; the ceiling is 10."""


def played(reward: float) -> Json:
    return {"value": {"mean": reward, "low": reward, "high": reward}}


def result(cell: BeyondCell) -> Json:
    """Auto learns latent but on the log of seed 1, where it learns pg."""
    if isinstance(cell, Table1Cell):
        metrics = {name: {"mean": 0.4, "low": 0.3, "high": 0.5} for name in ("p@1", "p@10", "mrr", "ndcg@10")}
        worth = {"purchases": {"mean": 0.02}, "clicks": {"mean": 1.0}}
        return {"popularity" if cell.row == NAIVE else cell.row: {"rerank": metrics, "worth": worth, "seconds": 1.0}}
    better = 0.01 * cell.seed
    if cell.row == REFERENCES:
        known = {CEILING: 10.0 + better, FILTER: 8.0, "static": 5.0, "shown by mix": 9.0, "shown by max": 7.0}
        return {name: played(reward) for name, reward in known.items()}
    if cell.row != AUTO:
        return {cell.row: {**played(WORTH[cell.row] + better), "seconds": 2.0}}
    learned = "pg" if cell.seed == 1 else "latent"
    estimates = {"count": 1.0, "pg": 2.5, "latent": 3.0 if cell.seed != 1 else 2.4, "slate": None}
    candidates = [{"name": name, "estimate": estimate} for name, estimate in estimates.items()]
    decision = {"learned": learned, "candidates": candidates}
    return {AUTO: {**played(WORTH[learned] + better), "seconds": 9.0, "decision": decision}}


def results(settings: BeyondSettings) -> list[tuple[BeyondCell, Json]]:
    named = settings.model_copy(update={"models": (*WORTH, AUTO)})
    return [(cell, result(cell)) for cell in cells(named)]


RESULTS = results(SETTINGS)


def test_cells_come_seed_by_seed_with_the_references_of_their_world_once() -> None:
    found = cells(SETTINGS)
    worlds = [cell for cell in found if isinstance(cell, WorldCell)]
    assert len({cell.key for cell in found}) == len(found)
    assert [cell.seed for cell in worlds] == sorted(cell.seed for cell in worlds)
    assert len(worlds) == 3 * (1 + 2 * 3) + (1 + 3)  # a block may have seeds of its own number
    assert len(found) - len(worlds) == 2 * (1 + 1)
    assert found[0].row == REFERENCES
    without = SETTINGS.model_copy(update={"shop_seeds": 0})
    assert all(isinstance(cell, WorldCell) for cell in cells(without))


def test_without_lightgbm_a_study_goes_without_its_row(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = SETTINGS.model_copy(update={"list_models": ("linear", "boosting")})
    rows = (NAIVE, "linear", "boosting")
    assert [cell.row for cell in cells(settings) if isinstance(cell, Table1Cell)] == [*rows, *rows]
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    assert [cell.row for cell in cells(settings) if isinstance(cell, Table1Cell)] == [*rows[:2], *rows[:2]]
    assert "boosting: left out, LightGBM is missing; pip install 'irecgan[boosting]'" in caplog.text


def test_both_laws_have_all_logs_in_worlds_of_other_sizes() -> None:
    blocks = PRESETS["paper"].blocks
    others = [block for block in blocks if (block.states, block.items, block.slate_size) != (10, 50, 10)]
    assert {(block.law, block.states, block.items, block.slate_size) for block in others} == {
        (law, *size) for law in (HISTORY, "softmax") for size in ((5, 50, 10), (20, 50, 10), (10, 200, 10), (10, 50, 5))
    }
    assert all(set(block.logs) == {"mix", "max", "random"} and block.seeds == 3 for block in others)


def test_held_out_worlds_are_the_same_cells_of_other_seeds() -> None:
    held_out = cells(SETTINGS.model_copy(update={"first_seed": 100}))
    assert held_out == [cell.model_copy(update={"seed": cell.seed + 100}) for cell in cells(SETTINGS)]
    assert "Seeds are counted from 100." in conclude(SETTINGS.model_copy(update={"first_seed": 100}), RESULTS).html


def test_a_world_that_is_given_has_all_rows_on_logs_of_its_own(tmp_path: Path) -> None:
    world = small_world()
    world.save(tmp_path / "WORLD.json")
    settings = SETTINGS.model_copy(
        update={
            "blocks": (),
            "shop_seeds": 0,
            "worlds": (str(tmp_path / "WORLD.json"),),
            "world_sessions": 60,
            "evaluation_sessions": 50,
            "seeds": 2,
            "models": ("count", "pg"),
        }
    )
    found = [cell for cell in cells(settings) if isinstance(cell, WorldCell)]
    assert len({cell.key for cell in found}) == len(found) == 2 * (1 + 3 * 2)
    assert {(cell.states, cell.items, cell.slate_size) for cell in found} == {
        (world.state_count, world.catalogue_size, world.slate_size)
    }
    results: list[tuple[BeyondCell, Json]] = [
        (cell, work(settings, cell, tmp_path / cell.key)) for cell in found if cell.row != "pg"
    ]
    by_log = {panel.log: panel for panel in panels(results)}
    assert by_log.keys() == {"mix", "max", "random"}
    title = by_log["mix"].title
    assert title.startswith(f"{tmp_path.name}/WORLD ")
    assert {CEILING, FILTER, SHOWN, "oracle", "count"} <= by_log["mix"].rows.keys()
    first, second = by_log["mix"].values("oracle")
    assert first == second == pytest.approx(reference_values(world)["oracle"])
    assert title in conclude(settings, results).html


def test_a_panel_is_paired_with_the_references_of_its_own_seeds() -> None:
    first, second, third = panels(RESULTS)
    assert [first.title, second.title] == [f"{HISTORY} {log} 1,000" for log in ("mix", "random")]
    assert third.title == "softmax m=3 n=12 k=4 mix 60"
    assert (first.seeds, third.seeds) == (3, 1)
    assert third.values(CEILING) == [10.0]
    assert first.share("latent").mean == pytest.approx((8 / 10 + 8.01 / 10.01 + 8.02 / 10.02) / 3)
    assert first.history_matters
    assert first.fixed == ["latent", "latent-distilled", "pg", "count"]


def test_the_truth_about_a_choice() -> None:
    panel = panels(RESULTS)[0]
    made = choices(panel)
    assert [choice.is_right for choice in made] == [True, False, True]
    assert [choice.best for choice in made] == ["latent"] * 3
    assert regret(made).mean == pytest.approx((0 + 3 + 0) / 3)
    assert agreement(made) == pytest.approx((1 + 0.5 + 1) / 3)  # pg above latent: one swap of three
    assert choices(panels([pair for pair in RESULTS if pair[0].row != AUTO])[0]) == []


def test_goals_are_of_the_sizes_that_they_were_set_for() -> None:
    by_log = {goal.panel.log: goal for goal in goals(panels(RESULTS))}
    assert by_log.keys() == {"mix", "random"}
    assert by_log["mix"].goal == 0.80
    assert by_log["mix"].found.mean == pytest.approx((8 / 10 + 5.01 / 10.01 + 8.02 / 10.02) / 3)
    assert by_log["mix"].verdict == "missed on average"
    assert by_log["mix"].by_filter is not None
    assert by_log["mix"].by_filter.mean == pytest.approx((8 + 5.01 + 8.02) / 3 / 8)
    assert by_log["mix"].reached_of_filter.endswith("met on average")
    assert by_log["mix"].panel.values(SHOWN) == [9.0] * 3
    assert SHOWN not in by_log["random"].panel.rows
    assert by_log["random"].rival == "latent"
    assert by_log["random"].found.mean == pytest.approx(-1.0)


def test_claims_are_differences_in_the_claimed_direction() -> None:
    found = {(one.claim, one.label.split(", ")[0], one.label.split()[-1]): one for one in comparisons(panels(RESULTS))}
    log = f"{HISTORY} mix 1,000"
    assert found[BETTER, log, "count"].differences == pytest.approx([4.0, 1.0, 4.0])
    assert found[NEVER_WORSE, log, "pg"].differences == pytest.approx([8 - 4.9, 5.01 * 0.02, 8.02 - 5.02 * 0.98])
    distilled = next(one for key, one in found.items() if key[0].startswith("Distillation") and key[1] == log)
    assert distilled.differences == pytest.approx([7 - 0.95 * (8 + d) + d for d in (0, 0.01, 0.02)])
    verdicts = {one.claim: one.verdict.value for one in judge(list(found.values()), 0.01)}
    assert verdicts["Distillation costs less than 5% of the planner's reward"] == "does not hold"


def test_the_report_tells_it_all() -> None:
    conclusion = conclude(SETTINGS, RESULTS)
    assert conclusion.html.count("<svg") == 2 + 2  # shares, evidence; precision and worth of the shop
    assert conclusion.figures.keys() == {"shares", "evidence"}
    for text in ("missed on average", "2 of 3", "What distilling the planner costs", "popularity", "latent 2, pg 1"):
        assert text in conclusion.html
        assert text in conclusion.text or text.startswith("What")
    assert [goal["log"] for goal in conclusion.json["goals"]] == [f"{HISTORY} {x} 1,000" for x in ("mix", "random")]


def test_one_world_has_no_interval_and_decides_nothing() -> None:
    alone = SETTINGS.model_copy(update={"seeds": 1, "shop_seeds": 1})
    conclusion = conclude(alone, results(alone))
    assert "inf" not in conclusion.html.split("Verdicts")[1]
    assert "[" not in conclusion.text
    assert {goal["verdict"] for goal in conclusion.json["goals"]} == {"not decided"}
    assert {claim["verdict"] for claim in conclusion.json["claims"]} == {"not decided"}
    assert {row["share"]["low"] for panel in conclusion.json["panels"] for row in panel["rows"].values()} == {None}


def test_a_report_without_auto_or_worlds_leaves_out_what_it_does_not_know() -> None:
    fixed = conclude(SETTINGS, [pair for pair in RESULTS if pair[0].row != AUTO])
    assert "What auto chose" not in fixed.html
    assert "What distilling the planner costs" in fixed.html
    lists = conclude(SETTINGS, [pair for pair in RESULTS if isinstance(pair[0], Table1Cell)])
    assert "Goals" not in lists.html
    assert "popularity" in lists.html


def test_a_small_study_runs_and_goes_on_with_more_rows(tmp_path: Path) -> None:
    small_log(80).write(tmp_path / "log.parquet")
    prepare("log", [tmp_path / "log.parquet"], tmp_path / "mine", shares=(0.5, 0.25, 0.25))
    experiment = find_experiment("beyond")
    settings = SETTINGS.model_copy(
        update={
            "blocks": (SMALL,),
            "models": ("slate",),
            "seeds": 1,
            "list_seeds": 1,
            "shop_seeds": 0,
            "logs": (str(tmp_path / "mine"),),
            "evaluation_sessions": 50,
        }
    )
    out = tmp_path / "out"
    run_study(experiment, settings, out, Here())
    written = {path: path.stat().st_mtime_ns for path in (out / "cells").iterdir()}
    more = settings.model_copy(update={"list_models": ("pg", "lstm")})
    conclusion = run_study(experiment, more, out, Here())
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert conclusion.json["lists"][0]["rows"].keys() >= {"pg", "lstm", "logged_order"}
    (panel,) = conclusion.json["panels"]
    assert panel["rows"]["slate"]["seconds"] > 0
    other = more.model_copy(update={"evaluation_sessions": 60})
    with pytest.raises(UserError, match="found a study of another settings"):
        run_study(experiment, other, out, Here())


def test_a_decision_is_kept_beside_what_it_led_to(tmp_path: Path) -> None:
    quick = SETTINGS.model_copy(update={"evaluation_sessions": 50})
    named = SMALL.model_dump(exclude={"logs", "seeds"})
    rows = [WorldCell(**named, log="mix", seed=0, row=row) for row in ("count", "pg", AUTO)]
    found = [(cell, work(quick, cell, tmp_path)) for cell in rows]
    (panel,) = panels(found)
    (choice,) = choices(panel)
    assert choice.estimates.keys() == choice.true.keys() == {"count", "pg"}
    assert panel.seconds(AUTO) > panel.seconds("pg")
    if choice.learned in choice.true:  # it is what the recipe learns by itself, to the bit
        assert choice.reward == choice.true[choice.learned]
    for row in ("pg", "boosting"):
        shop = Table1Cell(log=SHOP, split="random", seed=0, row=row)
        assert work(quick, shop, tmp_path / "shop")[row].keys() == {"rerank", "worth", "seconds"}


def test_where_nothing_is_earned_nothing_is_divided_by_it() -> None:
    found: list[tuple[BeyondCell, Json]] = []
    for cell, told in RESULTS:
        rows = {name: {**row, **played(0.0)} if "value" in row else row for name, row in told.items()}
        found.append((cell, rows))
    conclusion = conclude(SETTINGS, found)
    (mix, random, small) = panels(found)
    assert not mix.has()
    assert choice_table([mix]).rows[0][-2] == ""
    assert distillation_table([mix]).rows == [[mix.title, *["0.000 [0.000, 0.000]"] * 2, ""]]
    assert [goal["log"] for goal in conclusion.json["goals"]] == [random.title]  # there is no share to reach
    assert "%" not in " ".join(goal_table(goals([mix, random, small])).rows[0])


@pytest.mark.parametrize(("ceilings", "cell"), [([2.0, 4.0], "50.0 [50.0, 50.0]"), ([2.0, 0.0], "1.500 [")])
def test_where_a_ceiling_is_nothing_rewards_stand_in_place_of_shares(ceilings: list[float], cell: str) -> None:
    rows: dict[str, list[Json]] = {
        CEILING: [{"value": {"mean": value}} for value in ceilings],
        "count": [{"value": {"mean": value}, "seconds": 0.0} for value in (1.0, 2.0)],
    }
    panel = Panel(("softmax", 10, 50, 10), "mix", 1_000, rows)
    assert share_table([panel]).rows[0][1].startswith(cell)
    assert ("rewards stand in place" in " ".join(notes([panel]))) == (min(ceilings) == 0)


def test_sessions_that_were_cut_are_told_of_everywhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In a world where every slate is clicked no session ends."""
    endless = {"reward": [[1.0] * 3], "transition": [[[1.0]] * 3], "slate_size": 2, "start_state": 0}
    MDPWorld(MDPSpec.model_validate(endless)).save(tmp_path / "WORLD.json")
    given = {"blocks": (), "shop_seeds": 0, "worlds": (str(tmp_path / "WORLD.json"),), "world_sessions": 10}
    settings = SETTINGS.model_copy(update={**given, "evaluation_sessions": 6, "seeds": 1, "models": ("count",)})
    cell = next(cell for cell in cells(settings) if cell.row == "count")
    found = [(cell, work(settings, cell, tmp_path))]
    assert found[0][1]["count"]["cut"] == 6
    conclusion = conclude(settings, found)
    assert "up to 6 of 6 sessions were cut after 1000 clicks" in caplog.text
    assert conclusion.json["panels"][0]["rows"]["count"]["cut"] == 6
    for text in ("Some sessions were cut after 1,000 clicks", "rewards stand in place of shares"):
        assert text in conclusion.text
        assert text in conclusion.html
