"""The last stages of a run: write the dataset folder with its card, and push it to the Hub."""
