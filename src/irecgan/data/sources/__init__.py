"""Readers of logs in other people's formats, each giving raw rows of the canonical log."""
