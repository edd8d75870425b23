"""What users see in the lists of whole sessions, all at once."""

from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import pad

from irecgan.data.batch import SessionBatch, last_clicked
from irecgan.models.views import DECAY, RECENT, Statistics


class BatchView:
    """The lists of the M real steps of a batch, in row-major order.

    Args:
        batch: logged or generated sessions; lists of the latter are in no ranker's order.
        statistics: of the log; its items are those of the batch.
        ranked: whether the order of logged lists is that of the log's ranker.
        own: whether the logged sessions of the batch were counted in ``statistics``: what they put there themselves
            is then taken out again, clicks that are still to come among it.

    """

    def __init__(self, batch: SessionBatch, statistics: Statistics, *, ranked: bool = True, own: bool = False) -> None:
        self._batch = batch
        self._statistics = statistics
        self._own = own
        sessions = torch.zeros(len(batch), dtype=torch.bool, device=batch.slate.device)
        self._logged = ~(sessions if batch.generated is None else batch.generated)  # (B,)
        self._known = batch.slate < batch.catalogue_size  # (B, T, K)
        self.ranked = (self._logged & ranked)[:, None].expand(batch.real.shape)[batch.real]
        self.rate = statistics.rate

    @cached_property
    def touched(self) -> Tensor:  # noqa: D102
        batch = self._batch
        return (last_clicked(batch) if batch.touched is None else batch.touched)[batch.real]

    @cached_property
    def last(self) -> Tensor:  # noqa: D102
        before = pad(self._batch.click[:, :-1], (1, 0), value=self._batch.catalogue_size)
        return ((self._batch.slate == before[..., None]) & self._known)[self._batch.real]

    @cached_property
    def clicks(self) -> Tensor:  # noqa: D102
        return self._before(self._clicks)[self._batch.real]

    @cached_property
    def rewarded(self) -> Tensor:  # noqa: D102
        batch = self._batch
        counts = (batch.reward > 0) & self._logged[:, None]
        rewarded = torch.where(counts, batch.click, batch.catalogue_size)
        return self._before(_Tally(rewarded, self._steps, self._horizon))[batch.real]

    @cached_property
    def seen(self) -> Tensor:  # noqa: D102
        return self._before(self._showings)[self._batch.real]

    @cached_property
    def same(self) -> Tensor:  # noqa: D102
        slate = self._batch.slate
        same = (slate[:, 1:] == slate[:, :-1]).all(2) & self._known[:, 1:].any(2)  # (B, T - 1)
        return pad(same, (1, 0))[self._batch.real]

    @cached_property
    def looks(self) -> Tensor:  # noqa: D102
        batch = self._batch
        if batch.looks is None:
            return torch.zeros_like(batch.slate)[batch.real]
        tally = _Tally(batch.looks.item, batch.looks.step, self._horizon)
        return self._count(tally, self._steps + 1)[batch.real]  # those before its own step come before a list

    @cached_property
    def visits(self) -> Tensor:  # noqa: D102
        batch = self._batch
        return (torch.zeros_like(batch.slate) if batch.visits is None else batch.visits)[batch.real]

    @cached_property
    def popularity(self) -> Tensor:  # noqa: D102
        return self._without_own(self._statistics.counts.clicks, self._clicks)[self._batch.real]

    @cached_property
    def shown(self) -> Tensor:  # noqa: D102
        return self._without_own(self._statistics.counts.shown, self._showings)[self._batch.real]

    @cached_property
    def related(self) -> Tensor:  # noqa: D102
        batch = self._batch
        total = torch.zeros(batch.slate.shape, device=batch.slate.device)  # (B, T, K)
        for lag in range(min(self._horizon - 1, RECENT), 0, -1):  # oldest first, as in `StepView`
            click = batch.click[:, :-lag, None]
            total[:, lag:] = DECAY * total[:, lag:] + self._cosine(click, torch.ones_like(click, dtype=torch.bool))
        return total[batch.real]

    @cached_property
    def related_to_touched(self) -> Tensor:  # noqa: D102
        batch = self._batch
        if batch.looks is None:
            return self.related
        past, clicked, before = self._past
        total = torch.zeros(batch.slate.shape, device=batch.slate.device)  # (B, T, K)
        for lag in range(min(past.shape[1] - 1, RECENT), 0, -1):
            place = before - lag  # (B, T)
            item, own = (values.gather(1, place.clamp(min=0)) for values in (past, clicked))
            item = torch.where(place >= 0, item, batch.catalogue_size)
            total = DECAY * total + self._cosine(item[..., None], own[..., None])
        return total[batch.real]

    @property
    def _past(self) -> tuple[Tensor, Tensor, Tensor]:
        """What was clicked or touched in each session, oldest first, (B, P), and whether it is clicked in it, (B, P).

        And how much of it came before each list, (B, T).
        """
        click, looks = self._batch.click, self._batch.looks
        assert looks is not None
        clicks = (
            (2 * self._steps + 1).expand(click.shape).contiguous()
        )  # when they are; looks of their step come before
        when, order = torch.cat([2 * looks.step, clicks], dim=1).sort(dim=1, stable=True)
        past = torch.cat([looks.item, click], dim=1).gather(1, order)
        clicked = (self._clicks.before(past, torch.full_like(past, self._horizon)) > 0) & (
            past < self._batch.catalogue_size
        )
        return past, clicked, torch.searchsorted(when, clicks)

    def _cosine(self, item: Tensor, clicked: Tensor) -> Tensor:
        """Between an ``item`` (B, T', 1) of the past of the last T' lists and what they show. (B, T', K)

        ``clicked`` (B, T', 1): whether it is clicked in its own session.
        """
        slate, counts = self._batch.slate[:, -item.shape[1] :], self._statistics.counts.sessions
        cosine = self._statistics.related.between(item, slate)
        if not self._own:
            return cosine
        times = self._own_clicks[:, -item.shape[1] :]
        in_log = counts[item].float(), counts[slate].float()
        # A pair is in this session too where both are clicked in it, and an item with itself where it is twice.
        together = cosine * (in_log[0] * in_log[1]).sqrt()
        together = together - (clicked & torch.where(slate == item, times > 1, times > 0)).float()
        apart = ((in_log[0] - clicked.float()) * (in_log[1] - (times > 0).float())).clamp(min=1e-9).sqrt()
        without = torch.where(together > 0.5, together / apart, 0.0)
        return torch.where(self._logged[:, None, None], without, cosine)

    @property
    def _horizon(self) -> int:
        """T."""
        return self._batch.slate.shape[1]

    @property
    def _steps(self) -> Tensor:
        """0 .. T - 1. (T,)"""
        return torch.arange(self._horizon, device=self._batch.slate.device)

    @cached_property
    def _clicks(self) -> "_Tally":
        return _Tally(self._batch.click, self._steps, self._horizon)

    @cached_property
    def _showings(self) -> "_Tally":
        step = self._steps[:, None].expand(self._batch.slate.shape[1:])
        return _Tally(self._batch.slate.flatten(1), step.flatten(), self._horizon)

    @cached_property
    def _own_clicks(self) -> Tensor:
        """Clicks on each item in its whole session. (B, T, K) int64"""
        return self._count(self._clicks, torch.full_like(self._steps, self._horizon))

    def _before(self, tally: "_Tally") -> Tensor:
        """Events of each item at earlier steps of its session. (B, T, K) int64"""
        return self._count(tally, self._steps)

    def _count(self, tally: "_Tally", until: Tensor) -> Tensor:
        """Events of each item shown at step t before the step ``until`` (T,) [t]; 0 for unknown ones. (B, T, K)"""
        slate = self._batch.slate
        step = until[:, None].expand(slate.shape[1:]).flatten()
        return torch.where(self._known, tally.before(slate.flatten(1), step).view_as(slate), 0)

    def _without_own(self, counts: Tensor, tally: "_Tally") -> Tensor:
        """``counts`` (n + 1,) of the items shown, less what logged sessions of the batch put there. (B, T, K)"""
        count = counts[self._batch.slate]
        if not self._own:
            return count
        own = self._count(tally, torch.full_like(self._steps, self._horizon))
        return count - self._logged[:, None, None] * own


class _Tally:
    """Events of items at steps of B sessions, to be counted by item and time without a loop.

    Args:
        item: (B, P) int64.
        step: (P,) int64, when each of them was.
        horizon: T, above all steps.

    """

    def __init__(self, item: Tensor, step: Tensor, horizon: int) -> None:
        self._span = horizon + 1
        self._keys = (item * self._span + step).sort(1).values

    def before(self, item: Tensor, step: Tensor) -> Tensor:
        """How many events of ``item`` (B, Q) there are before ``step`` (Q,), at most T. (B, Q) int64"""
        first = item * self._span
        begin, end = (torch.searchsorted(self._keys, key.contiguous()) for key in (first, first + step))
        return end - begin
