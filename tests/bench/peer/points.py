"""pointblank over Ibis: a plan for each table; rows that fail are extracted."""

from typing import Any

import ibis  # type: ignore[import-not-found]
import pointblank as pb  # type: ignore[import-not-found]

from tests.bench.peer.told import Spec, whole

#: What it has no step for, or none that leaves NULLs and other tables alone.
CANNOT = ("has", "references", "length", "always", "fresh", "aggregate")


def add(plan: Any, rule: dict[str, Any]) -> Any:
    """The plan with one more step."""
    kind, options = rule["kind"], rule["options"]
    match kind:
        case "not_null":
            return plan.col_vals_not_null(columns=options)
        case "unique":
            return plan.rows_distinct(columns_subset=options)
        case "row_count":
            return plan.row_count_match(count=options["min"])
    [(column, expected)] = options.items()
    match kind:
        case "accepted_values":
            return plan.col_vals_in_set(columns=column, set=[*expected, None])
        case "between":
            return plan.col_vals_between(
                columns=column, left=expected[0], right=expected[1], na_pass=True
            )
        case _:
            return plan.col_vals_regex(columns=column, pattern=whole(expected), na_pass=True)


def main() -> None:
    """An interrogation for each table."""
    spec = Spec()
    login = spec.login
    names = ("host", "user", "password", "database")
    connection = ibis.postgres.connect(
        **{name: login[name] for name in names}, port=int(login["port"])
    )
    counts: dict[str, int | str | None] = {rule["id"]: "can't be said" for rule in spec.rules}
    for table in dict.fromkeys(rule["table"] for rule in spec.rules):
        plan = pb.Validate(data=connection.table(table))
        ours = [
            rule for rule in spec.rules if rule["table"] == table and rule["kind"] not in CANNOT
        ]
        for rule in ours:
            plan = add(plan, rule)
        plan = plan.interrogate()
        for nth, rule in enumerate(ours, start=1):
            failed = plan.n_failed(i=nth, scalar=True)
            counts[rule["id"]] = "error" if failed is None else int(failed)
    connection.disconnect()
    spec.tell(
        counts, [f"not tried: {', '.join(CANNOT)}; of duplicates it counts the rows, and NULLs"]
    )


if __name__ == "__main__":
    main()
