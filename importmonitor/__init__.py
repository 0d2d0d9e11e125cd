"""Watches Rocket.Chat's imports from Django."""

import logging

__version__ = "0.1.0"

# A library does not decide where its log goes: without this, Python's last resort would print
# every warning a second time, beside what the commands say themselves.
logging.getLogger(__name__).addHandler(logging.NullHandler())
