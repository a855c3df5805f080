"""The command line before a verb runs: the verbs, parsing, what is refused at once, completion and the man page.

All of it needs the standard library alone: the launcher answers with it before anything is installed.
"""
