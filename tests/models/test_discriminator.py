import torch

from irecgan.data.batch import NOTHING, SessionBatch, Sessions
from irecgan.models.discriminator import Discriminator
from irecgan.models.recurrent import Size, initialise

SIZE = Size(items=6, embedding=4, units=5, layers=2)


def judge() -> Discriminator:
    model = Discriminator(SIZE)
    initialise(model, torch.Generator().manual_seed(0))
    return model


def sessions(*, slates_at_end: bool = True) -> Sessions:
    """Two sessions of 2 and 1 clicks, each with its end step; slates of 3 and 2 items."""
    last = [4, 5, 0] if slates_at_end else []
    slates = [[0, 1, 2], [3, 4, 5], last, [2, 3], last[:2]]
    positions = torch.tensor([1, 0, NOTHING, 1, NOTHING])
    clicks = torch.tensor([s[p] if p >= 0 else SIZE.items for s, p in zip(slates, positions.tolist(), strict=True)])
    return Sessions(
        step_start=torch.tensor([0, 3, 5]),
        item_start=torch.tensor([0, *(len(s) for s in slates)]).cumsum(0),
        item=torch.tensor([i for s in slates for i in s]),
        click=clicks,
        position=positions,
        reward=torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0]),
        propensity=torch.full((5,), torch.nan),
        score=torch.ones(5),
        catalogue_size=SIZE.items,
    )


def step_by_step(model: Discriminator, batch: SessionBatch) -> torch.Tensor:
    """The verdicts of single sessions, each fed one step at a time."""
    verdicts = []
    for row in range(len(batch)):
        state = model.start(1)
        for t in range(int(batch.steps[row])):
            slate = batch.slate[row, t][batch.shown[row, t]][None]
            if batch.position[row, t] == NOTHING:
                verdicts.append(model.finish(state, slate if slate.shape[1] else None))
            else:
                state = model.advance(state, slate, batch.click[row, t][None], batch.reward[row, t][None])
    return torch.cat(verdicts)


def test_a_batch_is_judged_as_its_sessions_are_step_by_step() -> None:
    model = judge()
    for slates_at_end in (True, False):
        batch = sessions(slates_at_end=slates_at_end).batch(torch.arange(2))
        torch.testing.assert_close(model(batch), step_by_step(model, batch))


def test_neither_padding_nor_its_width_is_seen() -> None:
    model, whole = judge(), sessions()
    together = model(whole.batch(torch.tensor([0, 1])))
    alone = torch.cat([model(whole.batch(torch.tensor([row]))) for row in (0, 1)])
    torch.testing.assert_close(together, alone)


def test_no_session_and_an_empty_slate_are_judged() -> None:
    model = judge()
    assert model.finish(model.start(0), torch.zeros(0, 3, dtype=torch.int64)).shape == (0,)
    nothing = model.finish(model.start(2), torch.zeros(2, 0, dtype=torch.int64))
    torch.testing.assert_close(nothing, model.finish(model.start(2), None))


def test_an_end_is_told_from_a_cut() -> None:
    model = judge()
    state = model.start(1)
    assert not torch.allclose(model.finish(state, None), model.cut(state))
