"""What all experiments share: a study of cells, verdicts on claims, plots and reports."""
