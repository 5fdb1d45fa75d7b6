"""The gate in front of users' SQL: one SELECT, or one condition, that only reads. Knows nothing of rules or databases.

It is the first guard, not the only one: every session is read-only besides. sqlglot is imported when SQL is there.
"""

import re
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot import Token, exp

#: Functions that do something, or read what is no table: by the start of their names.
_ACTING = re.compile(
    r"""
    pg_(sleep|advisory|try_advisory|terminate|cancel|reload|rotate|read|ls_|stat_file|stat_reset|stat_statements_reset
        |logical|create|drop|copy|replication|promote|switch|start_|stop_|backup|background|notify|export|log_
        |current_logfile|current_xact_id$|wal_replay|import|prewarm|file|restore|set_|clear_|sync|nextoid
        |extension_config_dump|truncate|buffercache_evict)
    | txid_current$ | heap_force | bt_index | run_command_on
    | dblink | lo_ | loread | lowrite | nextval | setval | set_config | cursor_to_xml | query_to_xml | table_to_xml
    | schema_to_xml | database_to_xml | xpath_table | connectby | crosstab | ts_stat | ts_rewrite | brin_ | gin_clean
    | get_raw_page
    | sleep$ | benchmark$ | get_lock$ | release_lock | release_all_locks | is_(free|used)_lock$ | load_file$
    | master_(gtid|pos)_wait | source_pos_wait | wait_(for|until) | sys_(exec|eval|get|set) | last_insert_id$
    | load_extension$ | readfile$ | writefile$ | edit$ | fts3_tokenizer$ | fsdir$ | lsmode$ | zipfile$ | sqlar_
    | reflect$ | java_method$ | xp_ | sanityd_
    """,
    re.VERBOSE | re.IGNORECASE,
)

#: More of these in one database, by names that are harmless in others.
_ACTING_IN = {
    "duckdb": re.compile(
        r"""
        read_(csv|parquet|json|ndjson|text|blob|duckdb) | parquet_ | sniff_csv$ | glob$ | getenv$ | query(_table)?$
        | (arrow|pandas|seq|sqlite|postgres|mysql|iceberg|delta)_(scan|query|attach|execute) | from_substrait
        | json_execute_serialized_sql$ | python_map_function$ | (force_)?checkpoint$ | (copy|import)_database$
        | (enable|disable)_(logging|profil|verif|optimizer|object_cache|checkpoint) | truncate_duckdb_logs$
        | add_parquet_key$ | write_log$ | duckdb_(secrets|logs|variables) | which_secret$ | sleep_ms$ | setseed$
        | currval$
        """,
        re.VERBOSE | re.IGNORECASE,
    )
}

#: What may stand between two words: blanks, and comments that all databases read alike (no hints, none in another).
_BLOCK = r"/\*(?!M?[!+])(?:(?!\*/|/\*).)*+\*/"
#: Some end a line at a carriage return, others don't. Nothing is given back, or long blanks would take forever.
_GAPS = {
    "mysql": re.compile(
        rf"(?:\s++|--(?:[ \t][^\r\n]*+|(?=[\r\n])|$)|\#[^\r\n]*+|{_BLOCK})*+", re.DOTALL
    ),
    "": re.compile(rf"(?:\s++|--[^\r\n]*+|{_BLOCK})*+", re.DOTALL),
}

#: More characters than people write, and fewer than take seconds to read.
_LONGEST = 100_000
#: sqlglot reads `decimal(decimal(1))` in two ways at each bracket, so that its time doubles with each.
_DEEPEST = 6

_WRITES = "Rules only look: write a SELECT that returns the rows that are wrong."


class GateRefusal(Exception):
    """SQL that may not run.

    `line` and `column` (1-based) and `length` say where inside the SQL text; `message` says what is wrong with it,
    `advice` what to write instead.
    """

    def __init__(
        self, message: str, advice: str, line: int = 1, column: int = 1, length: int = 1
    ) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
        self.line = line
        self.column = column
        self.length = length


def gate_query(sql: str, dialect: str) -> str:
    """Let one SELECT pass, and return it without a semicolon at its end; else raise GateRefusal.

    Parameters: `dialect` is sqlglot's name of the database's SQL.
    """
    from sqlglot import TokenType, exp

    plain, tokens = _read(sql, dialect)
    first = next(
        (token for token in tokens if token.token_type is not TokenType.L_PAREN), tokens[0]
    )
    if first.token_type not in (TokenType.SELECT, TokenType.WITH):
        raise _refusal(
            sql, first, f"the query begins with `{first.text}` instead of `SELECT`", _WRITES
        )
    tree = _parse(plain, dialect, None)
    if not isinstance(tree, exp.Query):
        raise _refusal(sql, first, "this is not a SELECT", _WRITES)
    _only_reads(sql, tree)
    return plain


def gate_predicate(sql: str, dialect: str) -> str:
    """Let one condition pass, and return it without a semicolon at its end; else raise GateRefusal.

    Parameters: `dialect` is sqlglot's name of the database's SQL.
    """
    from sqlglot import TokenType, exp

    plain, tokens = _read(sql, dialect)
    if tokens[0].token_type in (TokenType.SELECT, TokenType.WITH):
        advice = "Write what stands after WHERE, such as `amount >= 0`; a whole SELECT belongs into a `query` rule."
        raise _refusal(sql, tokens[0], "this is a statement, where a condition is expected", advice)
    _only_reads(sql, _parse(plain, dialect, exp.Condition))
    return plain


def _read(sql: str, dialect: str) -> tuple[str, list["Token"]]:
    """The SQL without its last semicolons, and its words, after a look at each of them."""
    from sqlglot import TokenType, tokenize
    from sqlglot.errors import SqlglotError

    if len(sql) > _LONGEST:
        raise GateRefusal(
            f"the SQL has more than {_LONGEST:,} characters",
            "Move long lists into a table, or a view.",
        )
    if half := re.search("[\ud800-\udfff]", sql):
        raise GateRefusal(
            "there is half of a letter", "Save the file as UTF-8.", *_place(sql, half.start())
        )
    try:
        tokens = tokenize(sql, read=dialect)
    except SqlglotError:
        raise GateRefusal(
            "the SQL ends within a quoted text or a comment", "Close the quotes."
        ) from None
    end = len(sql)
    while tokens and tokens[-1].token_type is TokenType.SEMICOLON:
        end = tokens.pop().start
    if not tokens:
        raise GateRefusal("there is no SQL here", "Write a SELECT or a condition.")
    _look_between(sql[:end], tokens, dialect)
    _look_at(sql, tokens, dialect)
    _look_into_brackets(sql, tokens)
    return sql[:end], tokens


def _look_between(sql: str, tokens: list["Token"], dialect: str) -> None:
    gap = _GAPS.get(dialect, _GAPS[""])
    ends = [0, *(token.end + 1 for token in tokens)]
    for start, end in zip(ends, [*(token.start for token in tokens), len(sql)], strict=True):
        if not gap.fullmatch(sql, start, end):
            line, column = _place(sql, start + len(sql[start:end]) - len(sql[start:end].lstrip()))
            advice = "Remove it: comments that databases read differently can hide statements."
            raise GateRefusal("this comment is not allowed", advice, line, column, 2)


def _look_at(sql: str, tokens: list["Token"], dialect: str) -> None:
    from sqlglot import TokenType

    acting = [_ACTING, *([_ACTING_IN[dialect]] if dialect in _ACTING_IN else [])]
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        kind = token.token_type
        if kind is TokenType.SEMICOLON:
            raise _refusal(
                sql,
                following or token,
                "there is more than one statement",
                "Write one SELECT per rule.",
            )
        if kind is TokenType.INTO:
            raise _refusal(sql, token, "`INTO` writes", _WRITES)
        if kind is TokenType.COLON_EQ:
            raise _refusal(
                sql, token, "`:=` sets a variable", "Use a WITH or a window function instead."
            )
        if kind is TokenType.HINT:
            raise _refusal(sql, token, "optimizer hints are not allowed", "Remove the hint.")
        if _ends_unicode_name(sql, token):
            advice = "Write the name itself, without escapes."
            raise _refusal(
                sql, token, "a name by the numbers of its letters is not allowed", advice
            )
        called = following is not None and following.token_type is TokenType.L_PAREN
        if (
            called
            and kind is not TokenType.STRING
            and any(names.match(token.text) for names in acting)
        ):
            raise _refusal(
                sql, token, f"the function `{token.text}` does more than reading tables", _WRITES
            )


def _look_into_brackets(sql: str, tokens: list["Token"]) -> None:
    from sqlglot import Parser, TokenType

    opened: list[bool] = []
    for before, token in pairwise(tokens):
        if token.token_type in (TokenType.L_PAREN, TokenType.L_BRACKET):
            opened.append(before.token_type in Parser.TYPE_TOKENS)
            if opened[-1] and sum(opened) > _DEEPEST:
                raise _refusal(
                    sql,
                    before,
                    "too many types are within each other",
                    "Use a WITH for the inner ones.",
                )
        elif token.token_type in (TokenType.R_PAREN, TokenType.R_BRACKET) and opened:
            opened.pop()


def _ends_unicode_name(sql: str, token: "Token") -> bool:
    r"""PostgreSQL reads `U&"\0070g"` as the name `pg`; sqlglot takes it for an operation of two columns."""
    before = sql[max(0, token.start - 3) : token.start]
    return sql[token.start] == '"' and re.search(r"(?<![\w$])[Uu]&$", before) is not None


def check_against(dialect: str) -> str:
    """What to do about SQL that can't be understood. The dialect is empty where the database isn't known."""
    return f"Check it against the database's dialect{f' ({dialect})' if dialect else ''}."


def _parse(sql: str, dialect: str, into: "type[exp.Condition] | None") -> "exp.Expr":
    import sqlglot
    from sqlglot.errors import ParseError, SqlglotError

    unreadable = "sanityd can't read this SQL"
    advice = check_against(dialect)
    try:
        return sqlglot.parse_one(sql, read=dialect, into=into)
    except ParseError as error:
        details = error.errors[0] if error.errors else {}
        near = str(details.get("highlight") or "")
        line, end = int(details.get("line") or 1), int(details.get("col") or 1)
        what = f"{unreadable} near `{near}`" if near.strip() else unreadable
        raise GateRefusal(
            what, advice, line, max(1, end - len(near) + 1), max(1, len(near))
        ) from None
    except (SqlglotError, RecursionError):
        raise GateRefusal(unreadable, advice) from None


def _only_reads(sql: str, tree: "exp.Expr") -> None:
    from sqlglot import exp

    acts = (
        exp.DML,
        exp.DDL,
        exp.Command,
        exp.Drop,
        exp.Alter,
        exp.Merge,
        exp.Into,
        exp.Copy,
        exp.Set,
        exp.Pragma,
    )
    for node in tree.walk():
        if isinstance(node, exp.Lock):
            raise _at(sql, node, "it locks rows", "Leave out `FOR UPDATE` and its like.")
        if isinstance(node, exp.Placeholder | exp.Parameter):
            raise _at(
                sql,
                node,
                "variables and placeholders have no value here",
                "Write the value itself.",
            )
        # A SELECT is among the DDL's relatives, as it may follow CREATE.
        if isinstance(node, acts) and not isinstance(node, exp.Query):
            raise _at(sql, node, f"`{node.key.upper()}` does more than reading", _WRITES)


def _at(sql: str, node: "exp.Expr", message: str, advice: str) -> GateRefusal:
    """A refusal at the first word of the node whose place is known."""
    starts = [part.meta["start"] for part in node.walk() if "start" in part.meta]
    line, column = _place(sql, min(starts)) if starts else (1, 1)
    return GateRefusal(message, advice, line, column)


def _refusal(sql: str, token: "Token", message: str, advice: str) -> GateRefusal:
    line, column = _place(sql, token.start)
    return GateRefusal(message, advice, line, column, token.end - token.start + 1)


def _place(sql: str, offset: int) -> tuple[int, int]:
    before = sql[:offset]
    return before.count("\n") + 1, offset - before.rfind("\n")
