"""``autoscaler status --watch``: a fleet on a whole terminal, moved by the keyboard. It only reads.

`state` is what the person looks at and `keys` what changes it, both without a terminal; `screen` draws it in lines;
`terminal` is the shell around: it reads keys, paints the lines that changed, and leaves the terminal as it was. We need
a table, bars and a dozen keys: rich draws them, and a framework such as textual would add 10 MB, a tenth of a second to
each start and its own event loop's rules for nothing that is missed here.
"""
