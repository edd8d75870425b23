import os
import signal
from collections.abc import Iterator

import pytest

from irecgan.ending import Terminated, ending_when_terminated, signals_wait


@pytest.fixture(autouse=True)
def _hears() -> Iterator[None]:
    """What a shell starts in the background ignores SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("sent", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_signals_wait_until_the_block_is_over(sent: signal.Signals, raised: type[BaseException]) -> None:
    done = False

    def work() -> None:
        nonlocal done
        with ending_when_terminated(), signals_wait():
            os.kill(os.getpid(), sent)
            done = True

    with pytest.raises(raised):
        work()
    assert done


def test_handlers_are_as_before() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with signals_wait():
        assert signal.getsignal(signal.SIGINT) is not before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
