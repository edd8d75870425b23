"""Who proposes a slate: rankings, logging policies, popularity, the oracle and the planner on beliefs."""
