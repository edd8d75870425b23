"""Session logs: from files to validated sessions to encoded ones. Only here are file formats known."""
