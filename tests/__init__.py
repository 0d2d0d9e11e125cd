"""A package by this file, so that it comes before what others install as `tests`."""
