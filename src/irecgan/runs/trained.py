"""A trained policy: what a user asks for slates."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from irecgan.data.batch import SessionBatch
from irecgan.data.catalogue import Catalogue, ItemId
from irecgan.data.columns import TOUCHED_BETWEEN, TOUCHED_BY_USER
from irecgan.data.features import Value
from irecgan.data.log import SessionLog
from irecgan.devices import find_device
from irecgan.errors import UserError
from irecgan.models.agent import Agent
from irecgan.models.latent import LatentUserModel
from irecgan.models.lists import ListUserModel
from irecgan.models.networks import Network
from irecgan.models.terms import LOOKS, VISITS, TermName, Terms
from irecgan.models.trees import Trees
from irecgan.models.user import RecurrentUserModel
from irecgan.policies.context import ContextRanker, InContext
from irecgan.policies.elsewhere import Elsewhere
from irecgan.policies.interface import Policy, Ranker
from irecgan.policies.latent import LatentRanker, acting
from irecgan.policies.lists import ListRanker
from irecgan.policies.popularity import Popularity
from irecgan.policies.ranking import UserRanker, ranked_with_chances, top_slate
from irecgan.policies.translated import Translated
from irecgan.rows import Rows
from irecgan.runs.store import Run, load_run

Context = Mapping[str, Value]
"""Values of context columns: text, numbers or, for lists, several texts."""


_Scorer = Agent | RecurrentUserModel | LatentRanker | ListUserModel | Popularity


@dataclass(frozen=True)
class Recommendation:
    """Items, best first, each with the chance that the policy would draw it first, Eq. (4)."""

    items: list[ItemId]
    probabilities: list[float]

    def first(self, k: int | None) -> "Recommendation":
        """The first ``k``, or all. Raises UserError where ``k`` is below 1."""
        if k is not None and k < 1:
            raise UserError(f"k: found {k}, expected at least 1")
        return Recommendation(self.items[:k], self.probabilities[:k])


class TrainedPolicy:
    """A policy with its catalogue. Item ids are those of the log it was trained on.

    Attributes:
        name: the name of its run directory.
        catalogue: the items it can show.
        slate_size: items in a slate, unless asked for another number.
        final_slates: whether its log shows the slates at which users left.
        popularity: (2, n) return-weighted click counts in its log, at t = 0 and later.
        co_clicks: items clicked in the same sessions of its log; None in runs written without them.
        device: where it computes.
        context: how the context columns that it reads are coded; None where it reads none.
        ranker: scores the catalogue, by item index.

    """

    def __init__(self, run: Run, name: str, device: torch.device | str = "cpu") -> None:
        self.name = name
        self.catalogue: Catalogue = run.catalogue
        self.slate_size = run.slate_size
        self.final_slates = run.final_slates
        self.popularity = run.popularity
        self.co_clicks = run.co_clicks
        self.device = torch.device(device)
        self._scorer, self.ranker, self._reader = ranking(_deployed(run, name, self.device))
        self.context = None if self._reader is None else run.inputs.context

    @property
    def reads_order(self) -> bool:
        """Whether its scores of a list depend on the order in which the list is shown."""
        return bool({"rank", "list"} & set(self._terms))

    @property
    def _terms(self) -> tuple[TermName, ...]:
        """What it reads of lists, so that it can score items that are not in the catalogue."""
        return () if self._chooser is None else self._chooser.names

    @property
    def _chooser(self) -> Terms | Trees | None:
        """What reads lists, if anything does."""
        match self._scorer:
            case RecurrentUserModel(terms=terms):
                return terms
            case ListUserModel(chooser=chooser):
                return chooser
            case _:
                return None

    def warn_of_untold(self, log: SessionLog) -> None:
        """Warn where it reads what users touched before, and ``log`` does not tell."""
        for column, features in ((TOUCHED_BETWEEN, LOOKS), (TOUCHED_BY_USER, VISITS)):
            if column not in log.frame.columns and self._chooser is not None and self._chooser.reads(features):
                logging.getLogger("irecgan").warning(
                    "%s: has no column %s, which run %s reads; nothing is taken to have been touched so",
                    log.name,
                    column,
                    self.name,
                )

    @torch.no_grad()
    def recommend(
        self, history: Sequence[ItemId] = (), k: int | None = None, context: Context | None = None
    ) -> Recommendation:
        """The best ``k`` items after the clicks ``history`` (oldest first).

        An item of the history that is not in the catalogue counts as a click on an unknown item. Fewer
        than ``k`` items come back when the catalogue is smaller. Equal scores: in catalogue order.
        ``context``: values of context columns, at all steps of the session; those not given are missing.
        Raises UserError when ``k`` is no whole number from 1 on, the history is no list of ids, or the run reads no
        such column.
        """
        k = self.asked(k)
        ranker = self.within(context)
        scores: Tensor = ranker.scores(self._state(ranker, history)).cpu()
        best = top_slate(scores, min(k, scores.shape[1]))[0]  # by score: probabilities far below the first are all 0
        return Recommendation(self.catalogue.ids_of(best), scores[0].softmax(0)[best].tolist())

    @torch.no_grad()
    def rerank(
        self,
        history: Sequence[ItemId],
        candidates: Sequence[ItemId],
        context: Context | None = None,
        *,
        ranked: bool = True,
    ) -> Recommendation:
        """All ``candidates``, best first, with chances among the candidates.

        Candidates that are not in the catalogue come last, in the order given, with probability 0; a policy with
        terms scores them by what it knows of the list. ``ranked``: the candidates are in the order of the ranker
        that made the log, which terms may read. Equal scores: in the order given. ``context``: as in `recommend`.
        Raises UserError for no candidate, one given twice or what is no list of ids, or where the run reads no such
        column.
        """
        ids = _ids(candidates, "candidates")
        if not ids:
            raise UserError("candidates: found none, expected at least one item")
        if len({str(item) for item in ids}) < len(ids):
            twice = next(item for i, item in enumerate(ids) if str(item) in map(str, ids[:i]))
            raise UserError(f"candidates: found item {twice!r} twice, expected each item once")
        index = self.catalogue.index_any(ids)
        scored = (index < len(self.catalogue)) | bool(self._terms)
        ranker = self.within(context, ranked=ranked)
        scores = ranker.scores_of(self._state(ranker, history), index[None].to(self.device)).cpu()
        order, probability = ranked_with_chances(scores.masked_fill(~scored, -torch.inf))
        return Recommendation([ids[i] for i in order[0].tolist()], probability[0].tolist())

    @torch.no_grad()
    def score_slates(self, batch: SessionBatch, *, ranked: bool = True) -> Tensor:
        """Scores of the items shown at the M real steps of ``batch``, in row-major order. (M, K)

        -inf where nothing is shown and, unless the policy has terms, for items that are not in the catalogue.
        ``ranked``: terms that read the shown order are on; without, scores are as if the policy made the order.
        """
        scored = batch.shown if self._terms else batch.slate < len(self.catalogue)
        here, scorer = batch.to(self.device), self._scorer
        if isinstance(scorer, RecurrentUserModel | ListUserModel):
            scores = scorer.score_slates(here, ranked=ranked)
        else:
            scores = scorer.score_slates(here)
        return scores.to(scored.device).masked_fill(~scored[batch.real], -torch.inf)

    def in_world(
        self, items: int, *, slate_size: int | None = None, sampled: bool = False, ranker: Ranker[Any] | None = None
    ) -> Policy[Any]:
        """The policy in a world whose items are 0 .. ``items`` - 1, which are the ids of its catalogue.

        ``slate_size``: None in a world that offers candidates, of which those not known come last.
        ``ranker``: another one over the same catalogue in its place. Raises UserError when an id of the
        catalogue is no item of the world, or too few are known.
        """
        ids = self.catalogue.items
        strange = ids if not ids.dtype.is_integer() else ids.filter((ids < 0) | (ids >= items))
        if len(strange):
            raise UserError(f"{self.name}: its item {strange[0]!r} is not one of the world's, 0 .. {items - 1}")
        size = self.slate_size if slate_size is None else slate_size
        if slate_size is not None and slate_size > len(ids):
            raise UserError(f"{self.name}: knows {len(ids)} items, the world shows slates of {slate_size}")
        chosen = ranker or self.ranker
        here: Ranker[Any] = chosen
        if ranker is None and self.device.type != "cpu":
            here = chosen.on_cpu() if isinstance(chosen, LatentRanker) else Elsewhere(chosen, self.device)
        return Translated.from_catalogue(acting(here, size, sampled=sampled), self.catalogue, items)

    def within(self, context: Context | None, *, ranked: bool = False) -> Ranker[Any]:
        """The ranker where every step has ``context``; ``ranked``: and candidates are in the log's ranker's order."""
        ranker, reader = self.ranker, self._reader
        if ranked and isinstance(ranker, UserRanker):
            ranker = reader = UserRanker(ranker.user, ranked=True)
        if ranked and isinstance(ranker, ListRanker):
            ranker = ListRanker(ranker.user, ranked=True)
        if not context:
            return ranker
        if self.context is None or reader is None:
            raise UserError(f"context: found {next(iter(context))!r}; {self.name} was trained without context columns")
        rows = self.context.encode_values(context, "context")
        return InContext(reader, rows.padded(torch.tensor([0])).to(self.device))

    def asked(self, k: int | None) -> int:
        """How many items are asked for: ``k``, or a slate. Raises UserError when it is no whole number from 1 on."""
        if k is None:
            return self.slate_size
        if not isinstance(k, Integral) or isinstance(k, bool) or k < 1:
            raise UserError(f"k: found {k!r}, expected at least 1, and whole")
        return int(k)

    def _state(self, ranker: Ranker[Any], history: Sequence[ItemId]) -> Rows:
        """The state of ``ranker`` after ``history``."""
        state: Rows = ranker.start(1)
        for click in self.catalogue.index_any(_ids(history, "history")).to(self.device):
            state = ranker.advance(state, click[None])
        return state


def _ids(given: object, name: str) -> list[ItemId]:
    """The item ids in a list, array or tensor: integers or text. Raises UserError for anything else."""
    listed = given.tolist() if hasattr(given, "tolist") else given
    if isinstance(listed, str) or not isinstance(listed, Iterable):
        raise UserError(f"{name}: found {given!r}, expected a list of item ids")
    ids: list[ItemId] = []
    for item in listed:
        if not isinstance(item, str | Integral) or isinstance(item, bool):
            raise UserError(f"{name}: found {item!r}, expected item ids: integers or text")
        ids.append(item if isinstance(item, str) else int(item))
    return ids


def _deployed(run: Run, name: str, device: torch.device) -> Network | Popularity:
    if run.deploys == "popularity":
        return Popularity(run.popularity.to(device))
    network = run.networks.get(run.deploys)
    if network is None:
        raise UserError(f"{name}: run.json names no {run.deploys}.safetensors; expected the policy's weights")
    return network.to(device)


def ranking(deployed: Network | Popularity) -> tuple[_Scorer, Ranker[Any], ContextRanker[Any] | None]:
    """What scores logged slates, what ranks the catalogue, and the same where it may read context."""
    match deployed:
        case Agent():
            return deployed, deployed, deployed
        case RecurrentUserModel():
            ranker = UserRanker(deployed)
            return deployed, ranker, ranker
        case LatentUserModel():
            planned = LatentRanker(deployed)
            return planned, planned, None
        case ListUserModel():
            return deployed, ListRanker(deployed), None
        case Popularity():
            return deployed, deployed, None
        case _:
            raise TypeError(f"a {type(deployed).__name__} proposes no slates")


def load_policy(directory: Path | str, device: str = "cpu") -> TrainedPolicy:
    """The policy of a run directory, on a ``device`` of `irecgan.devices.DEVICES`.

    Raises UserError when it is not a whole run of this version, or there is no such device.
    """
    path, found = Path(directory), find_device(device)
    return TrainedPolicy(load_run(path), path.resolve().name, found)
