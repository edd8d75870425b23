"""The networks: user model U, agent A, discriminator D. No loss, optimiser or sampling lives here."""
