"""The rehearsal teacher: an OpenAI-compatible server without a model, to try a recipe with.

It transforms what it is given, deterministically, and plants labelled defects at known rates, so
that a run's report can say what the filters find and what they miss before a GPU is paid for. It is
never presented as a model. `config` says what it plants, `launch` starts it as a child process, and
`python -m synth.teacher.rehearsal --port 8001` serves it by hand.

    config → server → replies (evolve | rewrite | answer | instance) → defects
"""
