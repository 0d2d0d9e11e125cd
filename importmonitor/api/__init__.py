"""The HTTP faces: they read the store, and never ask Rocket.Chat."""
