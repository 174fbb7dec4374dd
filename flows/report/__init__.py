"""The report of a run: `report.html` for people, `run.json` for programs.

`summary.py` sums up the receipts, `measures.py` reads the shards once for everything else,
`examples.py` draws the rows of the explorer, and `page.py` writes the page. Memory is bounded by
the size of a shard. `vendor/` has the two libraries that draw the plots.
"""
