"""The peers of the benchmarks: one module and its pins each, run in a separate environment.

`make pins` resolves `NAME.in` into `NAME.txt`. No other module may import these.
"""
