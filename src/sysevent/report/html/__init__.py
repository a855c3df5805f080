"""Pages of HTML: one self-contained file for a run, for the history of many runs, and for the difference of two.

page        a run: the template's sections, filled in
headline    what a run means, in a sentence
cells       the matrix and all details, as compact data that the page's script draws on demand
evidence    the bytes of an exit, each with its state: written, wrong, stale, or still poison
again       the command that repeats a test
history     claims over kernels and days, from many runs that are read as a stream
assets      templates, style and script, and what a page may load: nothing

What comes from a record is escaped three times over: unprintable characters by text.escape(), markup by Jinja2 or, in
data, by JSON without angle brackets; and the script only ever sets text, never markup.
"""
