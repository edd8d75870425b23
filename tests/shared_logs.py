"""Where the research-only logs lie, and the marks of tests that need them."""

from pathlib import Path

import pytest

import irecgan

SHARED = Path(irecgan.__file__).parents[3] / "shared" / "data"
shared_data = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not SHARED.is_dir(), reason="the research-only logs are not here"),
]
