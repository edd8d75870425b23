import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Tests run side by side, each on tiny tensors: more threads only get in each other's way."""
    torch.set_num_threads(1)
