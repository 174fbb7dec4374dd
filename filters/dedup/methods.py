"""The ways to find duplicates, each a file of its own."""

from filters.dedup.exact import Exact
from filters.dedup.fuzzy import Fuzzy
from filters.dedup.minhash import MinHash
from filters.dedup.rouge import Rouge
from filters.dedup.semantic import Semantic

Method = Exact | MinHash | Fuzzy | Rouge | Semantic
