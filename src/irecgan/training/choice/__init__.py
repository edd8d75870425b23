"""The recipe ``auto``: which of several recipes to learn from a log, by what each is worth to held-out users."""
