"""Whole studies with their plots and reports."""
