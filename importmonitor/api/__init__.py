"""The HTTP interfaces: they read the store and make no request to Rocket.Chat."""
