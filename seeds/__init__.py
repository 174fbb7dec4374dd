"""Input: the `read` and `clean` stages, and one reader per file format.

`read` is the stage, `inputs` finds the files, and `formats` lists the readers (`jsonl_rows`,
`csv_rows`, `arrow_rows`, `text_rows`, `web_pages`). `roles` maps columns to roles; `assemble` turns
rows into records. `clean` removes boilerplate from web samples. `starter/` has seeds written for
this project.
"""
