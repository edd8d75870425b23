"""Recurrent layers that learn in bfloat16: on a CPU too, by the same code, but slowly."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import irecgan
from irecgan.cli import main
from irecgan.data.catalogue import Catalogue
from irecgan.data.encode import encode
from irecgan.errors import UserError
from irecgan.models.networks import ModelName
from irecgan.seeding import Streams
from irecgan.training.config import TrainingConfig
from irecgan.training.data import TrainingData
from irecgan.training.lab import Lab, make_lab
from irecgan.training.learner import mean_loss
from irecgan.training.losses import actor_critic
from small_logs import TINY, small_log

MODELS: tuple[ModelName, ...] = ("user", "agent", "discriminator")
ONEDNN = torch.ops.mkldnn._is_mkldnn_bf16_supported()
"""Whether this CPU has oneDNN's layers of bfloat16, which take AVX-512."""
GATES = set() if ONEDNN else {"sigmoid", "sigmoid_", "sigmoid_backward"}
"""Operations of recurrent layers, where they are not one operation."""


def small_lab(precision: str, **settings: object) -> Lab:
    log = small_log(60)
    sessions = encode(log, Catalogue.from_log(log))
    config = TrainingConfig.checked({**TINY, **settings, "precision": precision})
    return make_lab(TrainingData(sessions, sessions, True), config, Streams(0), actor_critic, ["value"])


def losses(lab: Lab, epochs: int = 2) -> dict[str, list[float]]:
    """Of U, A and D, epoch by epoch."""
    found: dict[str, list[float]] = {name: [] for name in MODELS}
    other = encode(small_log(50, seed=4), Catalogue.from_log(small_log(60)))
    for epoch in range(epochs):
        for name in MODELS[:2]:
            stream = Streams(epoch).torch(name)
            found[name].append(lab.learners[name].epoch(lab.losses[name], lab.data.train, 16, stream))
        found["discriminator"].append(lab.discriminator_epoch(other, Streams(epoch).torch("d"))["loss"])
    return found


class Kinds(TorchDispatchMode):
    """Which operations made numbers of bfloat16."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.rounded: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        if any(isinstance(leaf, Tensor) and leaf.dtype == torch.bfloat16 for leaf in tree_leaves(made)):
            self.rounded.add(func.overloadpacket.__name__)
        return made


@pytest.fixture(autouse=True)
def _torch_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """LSTM layers of torch itself where those of oneDNN cannot do bfloat16."""
    if not ONEDNN:
        monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)


@pytest.fixture
def kinds() -> Iterator[Kinds]:
    with Kinds() as found:
        yield found


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_rounded_products_learn_nearly_the_same(cell: str) -> None:
    one, other = (losses(small_lab(precision, cell=cell)) for precision in ("float32", "bfloat16"))
    for name in MODELS:
        assert other[name] == pytest.approx(one[name], rel=0.02), name
        assert other[name] != one[name], name


def test_weights_gradients_and_optimisers_stay_float32() -> None:
    lab = small_lab("bfloat16")
    losses(lab, epochs=1)
    for learner in lab.learners.values():
        assert {value.dtype for value in learner.state().values()} == {torch.float32}
        assert {p.grad.dtype for p in learner.model.parameters() if p.grad is not None} == {torch.float32}


@pytest.mark.parametrize("name", ["user", "agent"])
def test_only_recurrent_layers_round(name: ModelName, kinds: Kinds) -> None:
    lab = small_lab("bfloat16")
    loss, batch = lab.losses[name], lab.data.train.batch(torch.arange(8))
    kinds.rounded.clear()
    loss(batch)
    assert not kinds.rounded
    lab.learners[name].step(lambda: loss(batch))
    assert any("rnn" in operation or "mm" in operation for operation in kinds.rounded)
    assert not {op for op in kinds.rounded - GATES if "softmax" in op or "sigmoid" in op}


def test_judges_and_rollouts_do_not_round(kinds: Kinds) -> None:
    lab = small_lab("bfloat16")
    mean_loss(lab.judges["agent"], lab.data.validation)
    lab.generate(5, torch.Generator(), scored=True)
    assert not kinds.rounded


def test_without_it_nothing_is_rounded(kinds: Kinds) -> None:
    """The negative control."""
    losses(small_lab("float32"), epochs=1)
    assert not kinds.rounded


def test_the_cpu_refuses_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="setting precision: found bfloat16 on the CPU; expected float32, or a GPU"):
        irecgan.train(small_log(), recipe="pg", out=tmp_path / "run", settings={**TINY, "precision": "bfloat16"})
    small_log().write(tmp_path / "log.parquet")
    argv = ["train", str(tmp_path / "log.parquet"), "--recipe", "pg", "--out", str(tmp_path / "run")]
    assert main([*argv, "--set", "precision=float16"]) == 2
    assert "setting precision: found 'float16'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_learns_by_rounded_products(tmp_path: Path) -> None:
    settings = {**TINY, "precision": "bfloat16"}
    policy = irecgan.train(small_log(), recipe="irecgan", out=tmp_path / "run", settings=settings, device="cuda")
    assert len(policy.recommend([], k=3).items) == 3
