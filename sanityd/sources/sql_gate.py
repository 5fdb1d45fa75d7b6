"""SQL gate: accepts users' SQL only if it is one SELECT, or one condition, that only reads.

It is the first of two guards: each session is read-only, too. sqlglot is imported when it is used.
"""

import logging
import re
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot import Token, exp

# It warns of statements that are refused anyway.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)

#: Functions that write, wait, or read something else than tables, by the start of their names.
_ACTING = re.compile(
    r"""
    pg_(sleep|advisory|try_advisory|terminate|cancel|reload|rotate|read|ls_|stat_file|stat_reset
        |stat_statements_reset|logical|create|drop|copy|replication|promote|switch|start_|stop_
        |backup|background|notify|export|log_|current_logfile|current_xact_id$|wal_replay|import
        |prewarm|file|hba_file|ident_file|show_all_file
        |restore|set_|clear_|sync|nextoid|extension_config_dump|truncate
        |buffercache_evict)
    | txid_current$ | heap_force | bt_index | run_command_on
    | dblink | lo_ | loread | lowrite | nextval | setval | set_config | cursor_to_xml
    | query_to_xml | table_to_xml | schema_to_xml | database_to_xml | xpath_table | connectby
    | crosstab | ts_stat | ts_rewrite | brin_ | gin_clean | get_raw_page
    | sleep$ | benchmark$ | get_lock$ | release_lock | release_all_locks | is_(free|used)_lock$
    | load_file$ | master_(gtid|pos)_wait | source_pos_wait | wait_(for|until)
    | sys_(exec|eval|get|set) | last_insert_id$
    | load_extension$ | readfile$ | writefile$ | edit$ | fts3_tokenizer$ | fsdir$ | lsmode$
    | zipfile$ | sqlar_
    | reflect$ | java_method$ | xp_ | sanityd_
    """,
    re.VERBOSE | re.IGNORECASE,
)

#: Views of PostgreSQL over files of the server: who may log in, and settings.
_FILE_VIEWS = frozenset({"pg_hba_file_rules", "pg_ident_file_mappings", "pg_file_settings"})

#: More of them in one database, with names that are harmless in others.
_ACTING_IN = {
    "duckdb": re.compile(
        r"""
        read_(csv|parquet|json|ndjson|text|blob|duckdb) | parquet_ | sniff_csv$ | glob$ | getenv$
        | query(_table)?$ | from_substrait
        | (arrow|pandas|seq|sqlite|postgres|mysql|iceberg|delta)_(scan|query|attach|execute)
        | json_execute_serialized_sql$ | python_map_function$ | (force_)?checkpoint$
        | (copy|import)_database$ | truncate_duckdb_logs$ | add_parquet_key$ | write_log$
        | (enable|disable)_(logging|profil|verif|optimizer|object_cache|checkpoint)
        | duckdb_(secrets|logs|variables) | which_secret$ | sleep_ms$ | setseed$ | currval$
        """,
        re.VERBOSE | re.IGNORECASE,
    )
}

#: A block comment that all databases read in the same way: no hint, no comment inside of it.
_BLOCK = r"/\*(?!M?[!+])(?:(?!\*/|/\*).)*+\*/"
#: What may be between two tokens: blanks and comments. Some databases end a line at a carriage
#: return, others don't. The quantifiers are possessive, as backtracking would take too long.
_GAPS = {
    "mysql": re.compile(
        rf"(?:\s++|--(?:[ \t][^\r\n]*+|(?=[\r\n])|$)|\#[^\r\n]*+|{_BLOCK})*+", re.DOTALL
    ),
    "": re.compile(rf"(?:\s++|--[^\r\n]*+|{_BLOCK})*+", re.DOTALL),
}

#: The most characters of a SQL text; more take seconds to read.
_LONGEST = 100_000
#: The deepest nesting of types: sqlglot tries `decimal(decimal(1))` in two ways at each bracket, so
#: its time doubles with each.
_DEEPEST = 6

#: The number of texts whose result is kept: a rule's SQL is read when its file is loaded, and again
#: for each statement that it becomes part of.
_KEPT = 4096

#: The message about a placeholder.
PLACEHOLDER = "variables and placeholders have no value here"
_WRITES = "Rules may only read: write a SELECT that returns the rows that are wrong."
#: First words of statements that people write by mistake in place of a condition.
_STATEMENTS = {
    "DELETE",
    "INSERT",
    "UPDATE",
    "MERGE",
    "DROP",
    "CREATE",
    "ALTER",
    "TRUNCATE",
    "GRANT",
    "COPY",
}
#: What follows when such a word is a column that the parser does not take for one.
_OPERATORS = {"IS", "IN", "NOT", "LIKE", "BETWEEN"}


class GateRefusal(Exception):
    """Error of SQL that may not run.

    `message` says what is wrong, `advice` what to write instead; `line` and `column` (1-based) and
    `length` are the position in the SQL text.
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


@lru_cache(maxsize=_KEPT)
def gate_query(sql: str, dialect: str) -> str:
    """Return one SELECT without its last semicolon. Raises GateRefusal for anything else.

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


@lru_cache(maxsize=_KEPT)
def gate_predicate(sql: str, dialect: str) -> str:
    """Return one condition without its last semicolon. Raises GateRefusal for anything else.

    Parameters: `dialect` is sqlglot's name of the database's SQL.
    """
    from sqlglot import TokenType, exp

    plain, tokens = _read(sql, dialect)
    if tokens[0].token_type in (TokenType.SELECT, TokenType.WITH):
        advice = (
            "Write what stands after WHERE, such as `amount >= 0`;"
            " a whole SELECT belongs into a `query` rule."
        )
        raise _refusal(sql, tokens[0], "this is a statement, where a condition is expected", advice)
    try:
        tree = _parse(plain, dialect, exp.Condition)
    except GateRefusal:
        # Only what is no condition: a column may be called `update`.
        if not _begins_a_statement(tokens):
            raise
        begins = f"a condition is expected, and this is the statement `{tokens[0].text}`"
        raise _refusal(sql, tokens[0], begins, _WRITES) from None
    _only_reads(sql, tree)
    return plain


def gate_expression(sql: str, dialect: str) -> str:
    """Return an expression whose value is compared. Raises GateRefusal for anything else.

    Parameters: `dialect` is sqlglot's name of the database's SQL.
    """
    from sqlglot import TokenType

    plain = gate_predicate(sql, dialect)
    if dialect == "mysql":
        _, tokens = _read(plain, dialect)
        for token in tokens:
            if token.token_type is TokenType.DPIPE:
                advice = "Write `concat(…, …)`."
                raise _refusal(sql, token, "`||` is OR in MariaDB, and joins no texts", advice)
    return plain


def _begins_a_statement(tokens: list["Token"]) -> bool:
    """Return whether SQL begins with the word of a statement and another word."""
    words = [token.text.upper() for token in tokens[:2]]
    if len(words) < 2 or words[0] not in _STATEMENTS:
        return False
    return words[1].isidentifier() and words[1] not in _OPERATORS


def _read(sql: str, dialect: str) -> tuple[str, list["Token"]]:
    """Return the SQL without its last semicolons, and its tokens, after checking each of them."""
    from sqlglot import TokenType, tokenize
    from sqlglot.errors import SqlglotError

    if len(sql) > _LONGEST:
        raise GateRefusal(
            f"the SQL has more than {_LONGEST:,} characters",
            "Move long lists into a table, or a view.",
        )
    surrogate = re.search("[\ud800-\udfff]", sql)
    if surrogate:
        line, column = _position(sql, surrogate.start())
        raise GateRefusal("there is half of a letter", "Save the file as UTF-8.", line, column)
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
    _check_gaps(sql[:end], tokens, dialect)
    _check_tokens(sql, tokens, dialect)
    _check_nesting(sql, tokens)
    return sql[:end], tokens


def _check_gaps(sql: str, tokens: list["Token"], dialect: str) -> None:
    """Refuse comments that not all databases read in the same way."""
    gap = _GAPS.get(dialect, _GAPS[""])
    starts = [0, *(token.end + 1 for token in tokens)]
    ends = [*(token.start for token in tokens), len(sql)]
    for start, end in zip(starts, ends, strict=True):
        if not gap.fullmatch(sql, start, end):
            text = sql[start:end]
            if not text.lstrip().startswith(("--", "/*", "#")):
                # The rest of a command such as EXPLAIN, which the parser takes for one text.
                command = tokens[0].text.upper()
                raise _refusal(sql, tokens[0], f"`{command}` does more than reading", _WRITES)
            line, column = _position(sql, start + len(text) - len(text.lstrip()))
            advice = "Remove it: comments that databases read differently can hide statements."
            raise GateRefusal("this comment is not allowed", advice, line, column, 2)


def _check_tokens(sql: str, tokens: list["Token"], dialect: str) -> None:
    """Refuse tokens that do more than reading."""
    from sqlglot import TokenType

    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        if token.token_type is TokenType.SEMICOLON:
            raise _refusal(
                sql,
                following or token,
                "there is more than one statement",
                "Write one SELECT per rule.",
            )
        _check_word(sql, token)
        is_called = following is not None and following.token_type is TokenType.L_PAREN
        if is_called and token.token_type is not TokenType.STRING:
            _check_function(sql, token, dialect)


def _check_word(sql: str, token: "Token") -> None:
    from sqlglot import TokenType

    kind = token.token_type
    if kind is TokenType.INTO:
        raise _refusal(sql, token, "`INTO` writes", _WRITES)
    if kind is TokenType.COLON_EQ:
        advice = "Use a WITH or a window function instead."
        raise _refusal(sql, token, "`:=` sets a variable", advice)
    if kind is TokenType.HINT:
        raise _refusal(sql, token, "optimizer hints are not allowed", "Remove the hint.")
    if _ends_unicode_name(sql, token):
        advice = "Write the name itself, without escapes."
        raise _refusal(sql, token, "a name by the numbers of its letters is not allowed", advice)


def _check_function(sql: str, token: "Token", dialect: str) -> None:
    forbidden = [_ACTING]
    if dialect in _ACTING_IN:
        forbidden.append(_ACTING_IN[dialect])
    if any(names.match(token.text) for names in forbidden):
        message = f"the function `{token.text}` does more than reading tables"
        raise _refusal(sql, token, message, _WRITES)


def _check_nesting(sql: str, tokens: list["Token"]) -> None:
    """Refuse types that are nested too deeply."""
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
    r"""Return whether a token is the end of a name such as `U&"\0070g"`.

    PostgreSQL reads it as `pg`, sqlglot as an operation of two columns.
    """
    before = sql[max(0, token.start - 3) : token.start]
    return sql[token.start] == '"' and re.search(r"(?<![\w$])[Uu]&$", before) is not None


def check_against(dialect: str) -> str:
    """Return advice for SQL that can't be parsed. `dialect` is empty if it isn't known."""
    name = f" ({dialect})" if dialect else ""
    return f"Check it against the database's dialect{name}."


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
                PLACEHOLDER,
                "Write the value itself.",
            )
        if isinstance(node, exp.Table) and node.name.lower() in _FILE_VIEWS:
            message = f"`{node.name}` reads a file of the server"
            raise _at(sql, node, message, "Read tables only.")
        # In sqlglot a SELECT is a DDL expression, too, as it may follow CREATE.
        if isinstance(node, acts) and not isinstance(node, exp.Query):
            raise _at(sql, node, f"`{node.key.upper()}` does more than reading", _WRITES)


def _at(sql: str, node: "exp.Expr", message: str, advice: str) -> GateRefusal:
    """Return a refusal at the first word of the node whose position is known."""
    starts = [part.meta["start"] for part in node.walk() if "start" in part.meta]
    line, column = _position(sql, min(starts)) if starts else (1, 1)
    return GateRefusal(message, advice, line, column)


def _refusal(sql: str, token: "Token", message: str, advice: str) -> GateRefusal:
    line, column = _position(sql, token.start)
    return GateRefusal(message, advice, line, column, token.end - token.start + 1)


def _position(sql: str, offset: int) -> tuple[int, int]:
    before = sql[:offset]
    return before.count("\n") + 1, offset - before.rfind("\n")
