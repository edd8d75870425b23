"""All sources by name. To add one: write its reader and give it a row here."""

from irecgan.data.sources.bigdatacup import read_bigdatacup
from irecgan.data.sources.canonical import read_log
from irecgan.data.sources.interface import Source
from irecgan.data.sources.official import read_official
from irecgan.data.sources.trivago import read_trivago

SOURCES: dict[str, Source] = {
    "log": read_log,
    "official": read_official,
    "trivago2019": read_trivago,
    "bigdatacup2021": read_bigdatacup,
}
