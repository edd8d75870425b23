"""Random sessions with repeats, unknown items and lists of different lengths, shared by tests of views and terms."""

from dataclasses import replace

import torch

from irecgan.data.batch import NOTHING, Sessions
from irecgan.data.ragged import offsets
from irecgan.data.sparse import SparseRows
from irecgan.data.statistics import ItemCounts
from irecgan.models.views import Statistics
from irecgan.policies.co_click import co_clicks

ITEMS = 7
FIELDS = (
    "step_start",
    "item_start",
    "item",
    "click",
    "position",
    "reward",
    "propensity",
    "score",
    "touched",
    "visits",
)
"""Of sessions: what is one tensor."""


def random_sessions(seed: int, sessions: int = 12, longest: int = 6, widest: int = 5) -> Sessions:
    """Slates without repeats out of ITEMS items and unknown ones; half of the sessions end with a slate not clicked."""
    g = torch.Generator().manual_seed(seed)

    def below(bound: int) -> int:
        return int(torch.randint(bound, (), generator=g))

    slates: list[torch.Tensor] = []
    steps, positions, rewards = [], [], []
    for _ in range(sessions):
        clicks, ends = 1 + below(longest), below(2)
        steps.append(clicks + ends)
        for t in range(steps[-1]):
            repeats = bool(slates) and t > 0 and below(3) == 0
            items = (
                slates[-1] if repeats else torch.randperm(ITEMS + 3, generator=g)[: 1 + below(widest)].clamp(max=ITEMS)
            )
            slates.append(items)
            positions.append(NOTHING if t == clicks else below(len(items)))
            rewards.append(float(below(2)) if t < clicks else 0.0)
    clicks_of = [int(slate[p]) if p != NOTHING else ITEMS for slate, p in zip(slates, positions, strict=True)]
    return Sessions(
        step_start=offsets(torch.tensor(steps)),
        item_start=offsets(torch.tensor([len(slate) for slate in slates])),
        item=torch.cat(slates),
        click=torch.tensor(clicks_of),
        position=torch.tensor(positions),
        reward=torch.tensor(rewards),
        propensity=torch.full((len(slates),), torch.nan),
        score=torch.ones(len(slates)),
        catalogue_size=ITEMS,
    )


def with_looks(sessions: Sessions, seed: int, most: int = 3) -> Sessions:
    """The same in which up to ``most`` known items were touched before every step."""
    g = torch.Generator().manual_seed(seed)
    sizes = torch.randint(most + 1, (len(sessions.click),), generator=g)
    items = torch.randint(ITEMS, (int(sizes.sum()),), generator=g)
    return replace(sessions, looks=SparseRows(offsets(sizes), items, torch.ones(len(items))))


def statistics_of(sessions: Sessions) -> Statistics:
    return Statistics(ItemCounts.of(sessions).with_unknown(), co_clicks(sessions))
