"""A package, so that one browser serves all of it, and is closed before anything else runs."""
