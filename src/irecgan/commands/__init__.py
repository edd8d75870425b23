"""The commands: each module declares its options and turns them into one call of the Python API."""
