"""The maths verifier. Read it in this order:

`verifier`    checks a text against the gold answer
`extract`     finds the final answer: in `boxes`, behind a marker, or stated (`statement`)
`sentence`    looks for the gold answer in an unmarked last sentence
`plain`       normalises Unicode and LaTeX spellings
`compare`     compares two plain answers, form by form: `forms`, `notation`, `quantity`, `parts`,
              `regions`, and formulas, which `formula` parses and `values` evaluates
"""
