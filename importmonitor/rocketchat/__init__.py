"""Rocket.Chat's import API, seen from outside: its words, its documents, its errors, its client.

Nothing in here knows a model, a database or a request object.
"""
