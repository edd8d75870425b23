"""Where independent tasks are worked off: in this process, in processes of this machine, or on a Ray cluster."""
