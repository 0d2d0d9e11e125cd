"""Hosts of other shapes than this repository's: one module for each kind."""
