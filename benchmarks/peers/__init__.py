"""Peers of the benchmarks, a file and its pins each; each runs in an environment of its own.

`make pins` resolves `NAME.in` into `NAME.txt`. Nothing else here may import these modules.
"""
