"""Other tools' checks as rules of ours: a file per format reads it, `writing` makes a rules file of what it found."""
