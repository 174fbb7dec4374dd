"""Stages that ask the teacher for new prompts, rewrites, answers and judgements."""
