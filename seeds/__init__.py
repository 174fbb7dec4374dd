"""What goes in: the `read` stage and the readers behind it, one per format.

`read` is the stage, `inputs` finds the files, `formats` lists the readers (`jsonl_rows`,
`csv_rows`, `arrow_rows`, `text_rows`, `web_pages`), `roles` decides which column is what, `content`
reads a row by that, `assemble` makes the shards. `starter/` has prompts that were written for this
project.
"""
