"""Rocket.Chat's import API: a client, its errors, and the documents that it returns.

This package imports neither Django nor anything else of importmonitor.
"""
