"""Learning a policy: recipes of phases, learners, the one loop, checkpoints and metrics."""
