"""Rule tests: examples played on scratch databases by the real planner and executor, in a time of
their own."""
