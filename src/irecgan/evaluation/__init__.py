"""What policies are worth: metrics and intervals, reranked logs, sessions played in a world."""
