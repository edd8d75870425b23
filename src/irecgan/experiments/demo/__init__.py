"""The demo: the whole path on a small world."""
