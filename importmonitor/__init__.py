"""Monitors Rocket.Chat's imports from Django."""

import logging

__version__ = "0.1.0"

# The project decides where the log goes. Without a handler, Python's last resort would print
# every warning to stderr, in addition to the commands' own output.
logging.getLogger(__name__).addHandler(logging.NullHandler())
