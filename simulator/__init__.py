"""A simulated Rocket.Chat workspace on loopback, for the demo, the tests and the benchmarks.

It uses the standard library alone, and does not import `importmonitor`.
"""
