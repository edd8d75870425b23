"""``python -m irecgan``."""

import sys

from irecgan.cli import main

sys.exit(main())
