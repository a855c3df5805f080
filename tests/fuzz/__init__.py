"""Fuzzing of everything that parses bytes from outside: guests, mirrors, users' files.

test_fuzz.py runs the corpora of data/corpus and some mutations of each sample. A longer run, of one parser or all:

    cd tests && PYTHONPATH=../src python -m fuzz btf 100000
"""
