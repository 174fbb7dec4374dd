"""What goes in: the `read` stage and the readers behind it, one per format.

`read` is the stage, `inputs` finds the files, `formats` reads them as rows (with `lines`,
`csv_rows` and `arrow_rows`), `roles` decides which column is what, `content` reads a row by that,
`assemble` makes the shards. In `starter/` lie prompts that were written for this project.
"""
