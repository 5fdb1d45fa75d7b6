"""Rules files broken on purpose, by a seed: whatever stands in one, it is read, or refused at its
lines, soon and in little memory. `python -m tests.fuzz --files 100000 --seed 1`.
"""
