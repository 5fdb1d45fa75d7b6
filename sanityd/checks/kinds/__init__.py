"""One file per check kind.

The name of the file is the kind, the fields of the class are its options, its docstring is the
manual.
"""
