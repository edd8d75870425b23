"""All formats by name. To add one: write its reader and give it a row here."""

from dataclasses import dataclass

from irecgan.data.filters import Filter, SessionLength, TopItems
from irecgan.data.sources.bigdatacup import read_bigdatacup
from irecgan.data.sources.canonical import read_log
from irecgan.data.sources.cikm import read_cikm
from irecgan.data.sources.interface import Source
from irecgan.data.sources.official import read_official
from irecgan.data.sources.trivago import read_trivago
from irecgan.data.splits import SHARES, Shares


@dataclass(frozen=True)
class Published:
    """What a paper says of its parts of a log: train, validation, test."""

    source: str
    sessions: tuple[int, int, int]
    clicks: tuple[float, float, float]  # a session
    rewarded: tuple[float, float, float]  # share of the clicks


@dataclass(frozen=True)
class Format:
    """A format of logs: its reader, and what is done with it unless the user says otherwise."""

    read: Source
    filters: tuple[Filter, ...] = ()
    shares: Shares = SHARES
    published: Published | None = None


_CIKM = Published(
    "Bai, Guan and Wang (2019), section 7.2",
    sessions=(65_284, 1_718, 1_720),
    clicks=(2.81, 2.80, 2.77),
    rewarded=(0.0231, 0.0246, 0.0245),
)

SOURCES: dict[str, Format] = {
    "log": Format(read_log),
    "official": Format(read_official),
    # The most clicked items are never unclicked: with them the paper's third filter is done too.
    "cikm2016": Format(read_cikm, (TopItems(40_000), SessionLength(2, 40)), _CIKM.sessions, _CIKM),
    "trivago2019": Format(read_trivago),
    "bigdatacup2021": Format(read_bigdatacup),
}
