"""Rules of the source tree, checked on its text: nothing of it is imported, and each rule gives a list of problems.

imports       which package may import which, and no cycles
dependencies  what is imported is declared, and what is declared is used
text          lengths, names of places, docstrings, words

tests/test_house.py runs each rule on this tree and on a small broken one. A problem is one line that begins with the
path of a file. The exceptions that a rule allows are arguments, and one that is not needed any more is a problem too:
lists of exceptions can only shrink.
"""
