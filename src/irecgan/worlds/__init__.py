"""Who answers a slate: the simulated world with its exact values, and the learned user model."""
