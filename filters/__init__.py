"""What decides: quality (filters), verify (verifiers), dedup. Imports `synth`, nothing else."""
