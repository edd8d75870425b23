"""Beyond the paper: what wins, in worlds whose ceilings are known and on lists that were logged."""
