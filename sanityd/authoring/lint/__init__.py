"""`lint`: all mistakes of a rules file; with `--connect` also what the databases refuse."""
