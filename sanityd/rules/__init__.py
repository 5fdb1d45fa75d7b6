"""Plain data of a rules file → rules that can be run; every mistake at its place, all at once."""
