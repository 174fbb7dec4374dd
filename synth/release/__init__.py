"""The end of a run: the dataset folder, its card, and the Hub."""
