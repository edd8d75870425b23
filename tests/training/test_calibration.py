import pytest
import torch

from irecgan.data.catalogue import Catalogue
from irecgan.data.encode import encode
from irecgan.models.recurrent import Size, initialise
from irecgan.models.user import RecurrentUserModel, Stop
from irecgan.training.calibration import calibrate_stop
from small_logs import small_log


@pytest.mark.parametrize("stop", ["history", "slate"])
def test_as_many_ends_are_expected_as_there_are(stop: Stop) -> None:
    log = small_log()
    sessions = encode(log, Catalogue.from_log(log))
    user = RecurrentUserModel(Size(sessions.catalogue_size, 4, 8, 1), stop)
    initialise(user, torch.Generator().manual_seed(0))
    user.requires_grad_(requires_grad=False).stop.bias.add_(3.0)
    assert calibrate_stop(user, sessions) < 0
    batch = sessions.batch(torch.arange(len(sessions)))
    expected = float(user(batch).outcome[:, -1].exp().sum())
    assert expected == pytest.approx(len(sessions), rel=1e-4)
