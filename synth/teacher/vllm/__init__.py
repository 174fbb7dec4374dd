"""vLLM as a child of the run: started, watched, started again, ended. It is run, never imported."""
