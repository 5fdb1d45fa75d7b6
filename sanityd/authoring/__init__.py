"""For people who write rules: what `lint --connect` asks the databases, and first rules files."""
