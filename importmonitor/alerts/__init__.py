"""Alerts: their messages, the outbox that stores them, and the channels that deliver them."""
