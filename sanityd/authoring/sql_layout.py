"""Format a SQL statement for people: one clause per line, subqueries indented.

Only whitespace changes, so the result can be run. A statement that can't be tokenized stays as it
is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sqlglot import Dialect, Token, TokenType
from sqlglot.errors import SqlglotError

_INDENT = "  "
#: Tokens that begin a line, in a statement or a subquery.
_CLAUSES = {
    TokenType.SELECT,
    TokenType.FROM,
    TokenType.WHERE,
    TokenType.GROUP_BY,
    TokenType.HAVING,
    TokenType.ORDER_BY,
    TokenType.LIMIT,
    TokenType.UNION,
    TokenType.EXCEPT,
    TokenType.INTERSECT,
    TokenType.WITH,
}
_JOINING = {
    TokenType.LEFT,
    TokenType.RIGHT,
    TokenType.INNER,
    TokenType.FULL,
    TokenType.CROSS,
    TokenType.OUTER,
}
_CONDITIONS = {TokenType.AND, TokenType.OR}


def format_sql(sql: str, dialect: str | None) -> str:
    """Return the statement, formatted. `dialect` is sqlglot's name of it; None for any."""
    tidy = "\n".join(line.rstrip() for line in sql.split("\n") if line.strip())
    try:
        tokens = Dialect.get_or_raise(dialect).tokenize(sql)
        laid = _SqlLayout(sql, tokens).text()
        same = [token.text for token in Dialect.get_or_raise(dialect).tokenize(laid)]
    except (SqlglotError, ValueError):
        return tidy
    return laid if same == [token.text for token in tokens] else tidy


@dataclass
class _Bracket:
    """An open bracket: a subquery with one clause per line, or an expression on one line."""

    is_query: bool
    #: The indentation of its clauses.
    depth: int = 0
    #: Number of open `CASE`, and of `BETWEEN` before their AND.
    cases: int = 0
    betweens: int = 0


@dataclass
class _SqlLayout:
    sql: str
    tokens: Sequence[Token]
    open: list[_Bracket] = field(default_factory=lambda: [_Bracket(is_query=True)])
    #: The indentation of the current line.
    depth: int = 0

    def text(self) -> str:
        return "".join(self._parts())

    def _parts(self) -> Iterator[str]:
        end = 0
        for index, token in enumerate(self.tokens):
            gap = self.sql[end : token.start]
            yield self._between(gap, index, self._depth_before(index))
            yield self.sql[token.start : token.end + 1]
            self._update(index)
            end = token.end + 1
        rest = self.sql[end:].strip()
        if rest:
            yield f" {rest}"

    def _depth_before(self, index: int) -> int | None:
        """Return the indentation of the line that a token begins; None inside of a line.

        A closing bracket removes its entry, and begins a line when it ends a subquery.
        """
        if self._kind(index) is TokenType.R_PAREN and len(self.open) > 1:
            closed = self.open.pop()
            if closed.is_query:
                return closed.depth - 1
        return self._depth_of_line(index)

    def _between(self, gap: str, index: int, depth: int | None) -> str:
        """Return the whitespace and comments before a token: a new line if there is a depth."""
        comment = gap.strip()
        if index == 0:
            return f"{comment}\n" if comment else ""
        if depth is None and not comment:
            after_bracket = self._kind(index - 1) is TokenType.L_PAREN
            if not gap or after_bracket or self._kind(index) is TokenType.R_PAREN:
                return ""
            return " "
        if depth is not None:
            self.depth = depth
        # A comment may end with its line.
        new_line = "\n" + _INDENT * self.depth
        return f" {comment}{new_line}" if comment else new_line

    def _depth_of_line(self, index: int) -> int | None:
        """Return the indentation of the line that a token begins; None inside of a line."""
        inside, kind = self.open[-1], self._kind(index)
        if not inside.is_query or inside.cases:
            return None
        if kind in _CONDITIONS:
            return None if kind is TokenType.AND and inside.betweens else inside.depth + 1
        if self._joins(index):
            return inside.depth + 1
        return inside.depth if kind in _CLAUSES else None

    def _joins(self, index: int) -> bool:
        """Whether a join begins at this token: at `LEFT`, not again at its `JOIN`."""
        kind, after = self._kind(index), self._kind(index - 1) in _JOINING
        if kind in _JOINING:
            return not after and self._kind(index + 1) in {TokenType.JOIN, TokenType.OUTER}
        return kind is TokenType.JOIN and not after

    def _kind(self, index: int) -> TokenType | None:
        return self.tokens[index].token_type if 0 <= index < len(self.tokens) else None

    def _update(self, index: int) -> None:
        """Record brackets, CASE and BETWEEN that the token opens or closes."""
        inside = self.open[-1]
        match self._kind(index):
            case TokenType.L_PAREN:
                is_query = self._kind(index + 1) in (TokenType.SELECT, TokenType.WITH)
                self.open.append(_Bracket(is_query, self.depth + 1))
            case TokenType.CASE:
                inside.cases += 1
            case TokenType.END:
                inside.cases = max(inside.cases - 1, 0)
            case TokenType.BETWEEN:
                inside.betweens += 1
            case TokenType.AND if inside.betweens:
                inside.betweens -= 1
