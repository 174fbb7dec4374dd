"""What the teacher is asked for: evolved prompts, rewritten sources, distilled answers."""
