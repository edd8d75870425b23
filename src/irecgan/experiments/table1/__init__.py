"""Table 1: logged lists, reranked by every model."""
