"""Others that do the same job, or the least of it, to measure against."""
