"""Features by hand, terms on and off, and the order that they may not read."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from irecgan.data.batch import SessionBatch, Sessions
from irecgan.data.ragged import offsets
from irecgan.data.sparse import SparseRows
from irecgan.data.statistics import ItemCounts
from irecgan.models.batch_view import BatchView
from irecgan.models.recurrent import Size, initialise
from irecgan.models.terms import RANKS, TERMS, TermName, Terms
from irecgan.models.user import Learning, RecurrentUserModel
from irecgan.policies.ranking import UserRanker
from random_sessions import ITEMS, random_sessions, statistics_of


def weights(terms: Terms, seed: int = 0) -> Terms:
    terms.forget()
    torch.nn.init.normal_(terms.weight, generator=torch.Generator().manual_seed(seed))
    return terms


def user(names: tuple[TermName, ...], **size: object) -> RecurrentUserModel:
    model = RecurrentUserModel(replace(Size(ITEMS, 4, 6, 1, terms=names), **size))  # type: ignore[arg-type]
    initialise(model, torch.Generator().manual_seed(1))
    if model.terms is not None:
        weights(model.terms)
        model.terms.attach(statistics_of(random_sessions(9, 40)))
    return model.double() if model.terms is None else model


def session() -> Sessions:
    """Item 2 of (4, 2, 1), then 1 of the same list with a reward, then 3 of (1, 2, 3)."""
    return Sessions(
        step_start=torch.tensor([0, 3]),
        item_start=offsets(torch.tensor([3, 3, 3])),
        item=torch.tensor([4, 2, 1, 4, 2, 1, 1, 2, 3]),
        click=torch.tensor([2, 1, 3]),
        position=torch.tensor([1, 2, 2]),
        reward=torch.tensor([0.0, 1.0, 0.0]),
        propensity=torch.full((3,), torch.nan),
        score=torch.ones(3),
        catalogue_size=ITEMS,
    )


def batch_of(sessions: Sessions) -> SessionBatch:
    return sessions.batch(torch.arange(len(sessions)))


def test_features_of_touches_by_hand() -> None:
    looks = SparseRows(offsets(torch.tensor([2, 0, 1])), torch.tensor([2, 5, 2]), torch.ones(3))
    visits = torch.tensor([0, 0, 3, 0, 0, 0, 1, 0, 0])
    view = BatchView(batch_of(replace(session(), looks=looks, visits=visits)), statistics_of(session()))
    log_2, log_3, log_4 = LOG_2, float(torch.tensor(3.0).log()), 2 * LOG_2
    by_name = {feature.name: feature.of(view) for feature in Terms(["touches"]).features}
    expected = {
        "touched in the session": [[0, 1, 0], [0, 1, 0], [0, 1, 0]],
        "log times touched in the session": [[0, log_2, 0], [0, log_2, 0], [0, log_3, 0]],
        "touched in earlier sessions": [[0, 0, 1], [0, 0, 0], [1, 0, 0]],
        "log times touched in earlier sessions": [[0, 0, log_4], [0, 0, 0], [log_2, 0, 0]],
    }
    assert by_name.keys() == expected.keys()
    for name, values in expected.items():
        torch.testing.assert_close(by_name[name], torch.tensor(values, dtype=torch.float32))


LOG_2 = float(torch.tensor(2.0).log())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("touched last", [[0, 0, 0], [0, 1, 0], [1, 0, 0]]),
        ("touched last, same list", [[0, 0, 0], [0, 1, 0], [0, 0, 0]]),
        ("clicked last", [[0, 0, 0], [0, 1, 0], [1, 0, 0]]),
        ("clicked before", [[0, 0, 0], [0, 1, 0], [1, 1, 0]]),
        ("log clicks before", [[0, 0, 0], [0, LOG_2, 0], [LOG_2, LOG_2, 0]]),
        ("rewarded before", [[0, 0, 0], [0, 0, 0], [1, 0, 0]]),
        ("shown before", [[0, 0, 0], [1, 1, 1], [1, 1, 0]]),
        # Of the log: items 1, 2, 3 have one click each; 1 and 2 stood in three lists, 3 in one, 4 in two.
        ("log clicks in the log", [[0, LOG_2, LOG_2], [0, LOG_2, LOG_2], [LOG_2, LOG_2, LOG_2]]),
        (
            "log click rate in the log",
            [[(20 / 3) / 22, (23 / 3) / 23, (23 / 3) / 23]] * 2 + [[(23 / 3) / 23] * 2 + [(23 / 3) / 21]],
        ),
        # 1 and 2 were clicked in the one session of the log, and so were 3 and both.
        ("co-clicks with the session", [[0, 0, 0], [0, 0, 1], [0.8, 1, 1.8]]),
    ],
)
def test_features_of_a_session_by_hand(name: str, expected: list[list[float]]) -> None:
    terms = Terms(TERMS)
    view = BatchView(batch_of(session()), statistics_of(session()))
    feature = next(f for f in terms.features if f.name == name)
    found = feature.of(view)
    values = torch.tensor(expected, dtype=torch.float32)
    torch.testing.assert_close(found, values.log() if "rate" in name else values)


def test_ranks_and_places_behind_the_touched_item_by_hand() -> None:
    rank, same, other = (
        next(f for f in Terms(["rank", "list"]).features if f.name == name)
        for name in ("rank", "places behind, same list", "places behind, other list")
    )
    view = BatchView(batch_of(session()), statistics_of(session()))
    assert rank.of(view).expand(3, 3).tolist() == [[0, 1, 2]] * 3
    none = len(same.levels)
    names = [[None] * 3, ["-1", None, "+1"], [None] * 3]
    assert [[same.levels[i] if i < none else None for i in row] for row in same.of(view).tolist()] == names
    names = [[None] * 3, [None] * 3, [None, "+1", "+2"]]
    assert [[other.levels[i] if i < none else None for i in row] for row in other.of(view).tolist()] == names


def test_the_design_times_the_weights_is_what_terms_add() -> None:
    terms = weights(Terms(TERMS))
    log = random_sessions(2)
    view = BatchView(batch_of(log), statistics_of(log))
    torch.testing.assert_close(terms.design(view) @ terms.weight, terms(view))


@pytest.mark.parametrize("name", TERMS)
def test_each_term_alone_is_its_part_of_all(name: TermName) -> None:
    log = random_sessions(4)
    log = replace(log, visits=torch.randint(3, (len(log.item),), generator=torch.Generator().manual_seed(0)))
    view = BatchView(batch_of(log), statistics_of(log))
    every, one = weights(Terms(TERMS)), Terms([name])
    one.forget()
    with torch.no_grad():
        for feature in one.features:
            one.weight[one.places[feature.name]] = every.weight[every.places[feature.name]]
        for feature in every.features:
            if feature.term != name:
                every.weight[every.places[feature.name]] = 0
    assert one(view).abs().sum() > 0
    torch.testing.assert_close(one(view), every(view))


def test_weights_of_zero_leave_the_model_as_it_was() -> None:
    plain, with_terms = user(()).float(), user(TERMS)
    assert with_terms.terms is not None
    with_terms.terms.forget()
    batch = batch_of(random_sessions(5))
    assert torch.equal(plain(batch).outcome, with_terms(batch).outcome)


def in_the_log(model: RecurrentUserModel, batch: SessionBatch, *, ranked: bool) -> Tensor:
    return model.score_slates(batch, ranked=ranked)


def test_without_rank_the_order_of_a_list_says_nothing() -> None:
    model, batch = user(("rank", "popularity")), batch_of(session())
    turned = replace(batch, slate=batch.slate.flip(2), position=2 - batch.position)
    assert torch.allclose(in_the_log(model, batch, ranked=False), in_the_log(model, turned, ranked=False).flip(1))
    assert not torch.allclose(in_the_log(model, batch, ranked=True), in_the_log(model, turned, ranked=True).flip(1))


def test_a_rankers_scores_are_those_of_the_log_where_it_is_told_of_its_order() -> None:
    model, batch = user(("rank", "repeat", "popularity", "click_rate", "co_click")), batch_of(session())
    for ranked in (True, False):
        ranker = UserRanker(model, ranked=ranked)
        state = ranker.start(1)
        for t in range(3):
            expected = model.score_slates(batch, ranked=ranked)[t]
            torch.testing.assert_close(ranker.scores_of(state, batch.slate[:, t])[0], expected)
            state = model.advance(state, batch.slate[:, t], batch.click[:, t], reward=batch.reward[:, t])


def test_the_catalogue_is_scored_as_its_items_are() -> None:
    model = user(TERMS)
    ranker, batch = UserRanker(model), batch_of(session())
    state = ranker.advance(ranker.start(1), batch.click[:, 0])
    torch.testing.assert_close(ranker.scores(state), ranker.scores_of(state, torch.arange(ITEMS)[None]))


def test_late_ranks_share_a_weight() -> None:
    model = weights(Terms(["rank"]))
    wide = random_sessions(0)
    slate = torch.full((1, 1, RANKS + 5), ITEMS)
    one = batch_of(wide.select(torch.tensor([0])))
    one = replace(one, slate=slate, shown=slate >= 0, click=one.click[:, :1], real=one.real[:, :1])
    found = model(BatchView(one, statistics_of(wide)))[0]
    assert torch.equal(found[:RANKS], model.weight)
    assert torch.equal(found[RANKS:], model.weight[-1].expand(5))


def test_dropout_keeps_the_mean_and_the_terms() -> None:
    model, batch = user(("rank",)), batch_of(session())
    generator = torch.Generator().manual_seed(0)
    learning, known = Learning(0.5, generator), model(batch, Learning(0.0, generator)).scores
    with torch.no_grad():
        many = torch.stack([model(batch, learning).scores for _ in range(1000)])
    torch.testing.assert_close(many.mean(0), known, atol=0.005, rtol=0)
    assert many.std(0).min() > 0


def test_terms_without_statistics_say_what_is_missing() -> None:
    with pytest.raises(RuntimeError, match=r"expected Terms\.attach"):
        _ = Terms(["rank"]).statistics


def test_counts_of_a_log_by_hand() -> None:
    counts = ItemCounts.of(session()).with_new_items(2)
    assert counts.shown.tolist() == [0, 3, 3, 1, 2, 0, 0, 0, 0]
    assert counts.clicks.tolist() == counts.sessions.tolist() == [0, 1, 1, 1, 0, 0, 0, 0, 0]
