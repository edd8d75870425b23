"""The names of the columns of a session log."""

from collections.abc import Iterable

SESSION = "session_id"
STEP = "step"
TIMESTAMP = "timestamp"
SLATE = "slate"
CLICK = "click"
REWARD = "reward"
PROPENSITY = "propensity"
USER = "user_id"
ITEM = "item_id"
LAST_EVENT = "last_event"  # optional: time of a session's last event, of whatever kind; splits by time prefer it
LAST_TOUCHED = "last_touched"  # optional: the item touched last before the step, however; for terms and a baseline

TOUCHED_BETWEEN = "touched_between"  # optional, a list: items touched since the step before, but not by its click
TOUCHED_BY_USER = "touched_by_user"  # optional, a list: items that the user touched or clicked in earlier sessions
TOUCHES = (TOUCHED_BETWEEN, TOUCHED_BY_USER)
"""For terms; an item stands there once for each touch."""

COLUMNS = (SESSION, STEP, TIMESTAMP, SLATE, CLICK, REWARD, PROPENSITY, LAST_EVENT, LAST_TOUCHED, *TOUCHES)
"""Those with a meaning of their own: they are no context. ``user_id`` may be."""

# For messages, while a log is validated; never part of a log.
ROW = "irecgan.row"  # place among all rows read, from 1
FILE = "irecgan.file"  # where the rows come from several files
ROW_IN_FILE = "irecgan.row_in_file"  # counted from 1, where they are not all of their file
INTERNAL = (ROW, FILE, ROW_IN_FILE)


def listed(columns: Iterable[str]) -> str:
    """The first of the ``columns`` that a user knows, for messages."""
    return ", ".join([column for column in columns if column not in INTERNAL][:12]) or "none"
