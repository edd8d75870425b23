"""Fitting the latent-state user model: EM over sessions, with everything else read from the log."""
