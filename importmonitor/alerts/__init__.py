"""Telling somebody: the outbox, what its messages say, and the channels that carry them."""
