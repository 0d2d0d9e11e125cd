"""Benchmarks: `make bench`, or `python -m benchmarks.polls` for one of them."""
