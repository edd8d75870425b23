"""The recommending agent A."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, cast

from torch import Tensor, nn

from irecgan.data.batch import SessionBatch
from irecgan.data.sparse import PaddedRows
from irecgan.models.content import Inputs
from irecgan.models.outputs import ContentScores, ItemScores, TiedOutput, UntiedOutput
from irecgan.models.recurrent import ClickEncoder, RecurrentState, Size

Head = Literal["behaviour", "value"]


class Agent(nn.Module):
    """Scores the catalogue from the clicks so far; its policy is the softmax of the scores, Eq. (4).

    ``heads``: what else reads its state while it learns: ``behaviour`` a model of the logging policy's
    clicks, ``value`` the worth of the state. A policy at work needs neither.

    Where items have columns, their vectors add (P s_t + c) . vector to the scores: with a tied output P and c
    are those of the ids, with an untied one they are learnt besides.
    """

    def __init__(self, size: Size, heads: Sequence[Head] = (), inputs: Inputs | None = None) -> None:
        super().__init__()
        self.encoder = ClickEncoder(size, inputs)
        self.output = _output(size)
        apart = self.encoder.content is not None and size.output == "untied"
        self.content_query = nn.Linear(size.units, size.embedding) if apart else None
        self.heads = nn.ModuleDict()
        for head in heads:
            self.heads[head] = nn.Linear(size.units, 1) if head == "value" else _output(size)

    @property
    def catalogue_size(self) -> int:
        """The number of items n."""
        return self.encoder.embedding.num_embeddings - 1

    def forward(self, batch: SessionBatch) -> Tensor:
        """Logits W s_t + b of Eq. (4) at the M real steps of ``batch``, in row-major order. (M, n)"""
        return self.item_scores(self.states(batch)).all()

    def states(self, batch: SessionBatch) -> Tensor:
        """s_t at the M real steps of ``batch``, in row-major order. (M, H)"""
        states: Tensor = self.encoder(batch.click, batch.context, batch.steps)
        return states[batch.real]

    def item_scores(self, states: Tensor) -> ItemScores:
        """The logits of Eq. (4) at ``states`` (M, H)."""
        scores, content = self.output.item_scores(states, self.encoder.embedding.weight), self.encoder.content
        if content is None:
            return scores
        query = scores.query if self.content_query is None else self.content_query(states)
        return replace(scores, content=ContentScores(query, content, scores.items))

    def behaviour_scores(self, states: Tensor) -> ItemScores:
        """Logits of the model of the logging policy's clicks at ``states`` (M, H), which it leaves untouched.

        By the ids alone: it is asked for no item outside the log.
        """
        head = cast(UntiedOutput | TiedOutput, self.heads["behaviour"])
        return head.item_scores(states.detach(), self.encoder.embedding.weight.detach())

    def start(self, sessions: int, context: PaddedRows | None = None) -> RecurrentState:
        """The state s_0 of ``sessions`` sessions, whose first step has ``context`` (B, W)."""
        return self.encoder.start(sessions, context)

    def scores(self, state: RecurrentState) -> Tensor:
        """Logits of Eq. (4) for all items. (B, n)"""
        return state.read(lambda top: self.item_scores(top).all())

    def scores_of(self, state: RecurrentState, items: Tensor) -> Tensor:
        """Logits of ``items`` (B, C) alone; meaningless for the index n. (B, C)"""
        return self.item_scores(state.top).at(items)

    def advance(self, state: RecurrentState, click: Tensor, context: PaddedRows | None = None) -> RecurrentState:
        """The state after ``click`` (B,); the step that follows has ``context`` (B, W)."""
        return self.encoder.advance(state, click, context)

    def score_slates(self, batch: SessionBatch) -> Tensor:
        """Logits of the items shown at the M real steps. (M, K); meaningless where nothing is shown"""
        return self.item_scores(self.states(batch)).at(batch.slate[batch.real])


def _output(size: Size) -> UntiedOutput | TiedOutput:
    if size.output == "tied":
        return TiedOutput(size.units, size.embedding, size.items)
    return UntiedOutput(size.units, size.items)
