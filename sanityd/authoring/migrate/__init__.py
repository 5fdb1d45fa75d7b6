"""Checks of other tools as rules, and rules as a data contract.

`dbt`, `soda` and `odcs` each read the files of one tool; `writing` makes a rules file of the
result; `export` writes a data contract.
"""
