"""Figure 3: learning from scratch, online and offline in turn."""
