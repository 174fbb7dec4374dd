"""The students that `benchmarks.student` trains, each in the environment with torch and TRL.

`pieces` uses only the standard library. No other module may import `tiny` or `smollm2`.
"""
