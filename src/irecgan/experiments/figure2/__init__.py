"""Figure 2: policies learned offline, played in the simulated world their log came from."""
