"""All sources by name, and the filters that belong to some. To add one: write its reader and give it a row here."""

from irecgan.data.filters import Filter, SessionLength, TopItems
from irecgan.data.sources.bigdatacup import read_bigdatacup
from irecgan.data.sources.canonical import read_log
from irecgan.data.sources.cikm import read_cikm
from irecgan.data.sources.interface import Source
from irecgan.data.sources.official import read_official
from irecgan.data.sources.trivago import read_trivago

SOURCES: dict[str, Source] = {
    "log": read_log,
    "official": read_official,
    "cikm2016": read_cikm,
    "trivago2019": read_trivago,
    "bigdatacup2021": read_bigdatacup,
}

FILTERS: dict[str, tuple[Filter, ...]] = {
    "cikm2016": (TopItems(40_000), SessionLength(2, 40)),  # the paper's, 7.2; the most clicked are never unclicked
}
"""What is filtered unless the user says otherwise."""
