"""The YAML text of a rules file → plain data whose every key and value has a line and a column."""
