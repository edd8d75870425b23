"""Learn a recommendation policy from click logs, measure what it is worth, and serve it."""

__version__ = "0.1.0"
