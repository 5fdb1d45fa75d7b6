"""One file per check kind: its name is the kind, the model's fields are its options, its docstring is its manual."""
