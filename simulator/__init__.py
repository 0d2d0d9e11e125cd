"""A simulated Rocket.Chat workspace on loopback, for the demo, the tests and the benchmarks.

It needs nothing but the standard library and knows nothing of `importmonitor`.
"""
