"""Rule tests: examples that the real planner and executor run in scratch databases."""
