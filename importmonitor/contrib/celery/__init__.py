"""Polls by Celery (extra `celery`), for more workspaces than one process can watch."""
