"""Learning what users choose from lists by features of what is shown: user models without a network."""
