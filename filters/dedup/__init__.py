"""Duplicates: found over the whole corpus, decided in its order, so arrival changes nothing."""
