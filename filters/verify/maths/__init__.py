"""The maths verifier. Read it in this order:

`verifier`    checks a text against the gold answer
`extract`     finds the final answer: in `boxes`, behind a marker, or stated (`statement`)
`sentence`    reads a last sentence that marks no answer, with the gold answer in hand
`plain`       makes Unicode and LaTeX spellings one
`compare`     compares two plain answers, form by form: `forms`, `notation`, `quantity`, `parts`,
              `regions`, and formulas, which `formula` reads and `values` works out
"""
