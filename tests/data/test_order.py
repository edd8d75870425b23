import torch

from irecgan.data.order import bucketed, bucketed_blocks


def test_bucketed_covers_every_row_once_and_repeats_by_seed() -> None:
    lengths = torch.randint(1, 30, (1000,), generator=torch.Generator().manual_seed(0))
    one, two = (bucketed(lengths, 32, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(torch.cat(one).sort().values, torch.arange(1000))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    padded = sum(len(rows) * int(lengths[rows].max()) for rows in one)
    assert padded < 1.2 * int(lengths.sum())


def test_blocks_cover_every_row_once_repeat_by_seed_and_stay_near() -> None:
    lengths = torch.randint(1, 30, (5_003,), generator=torch.Generator().manual_seed(0))
    one, two = (bucketed_blocks(lengths, 32, torch.Generator().manual_seed(5), 16) for _ in range(2))
    assert torch.equal(torch.cat(one).sort().values, torch.arange(5_003))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    near = [len((torch.cat(one[at : at + 8]) // 16).unique()) for at in range(0, 8 * 18, 8)]  # a window has 8 batches
    assert max(near) == 16
    assert not torch.equal(torch.cat(one[:8]).sort().values, torch.arange(256))
