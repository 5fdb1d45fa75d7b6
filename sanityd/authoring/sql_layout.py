"""A SQL statement as people like to read it: a clause per line, subqueries moved in.

Only blanks and line breaks change: what is printed can be run. A statement that can't be read stays
as it came.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sqlglot import Dialect, Token, TokenType
from sqlglot.errors import SqlglotError

_INDENT = "  "
#: What begins a line of its own, in a statement or a subquery.
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


def laid_out(sql: str, dialect: str | None) -> str:
    """The statement, laid out. `dialect` is sqlglot's name of the database's; None for any."""
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
    """What an opened bracket holds: a subquery, whose clauses have lines of their own, or less,
    which stays in one."""

    is_query: bool
    #: How far its clauses are moved in.
    depth: int = 0
    #: How many `CASE` are open, and `BETWEEN` whose AND is still to come.
    cases: int = 0
    betweens: int = 0


@dataclass
class _SqlLayout:
    sql: str
    tokens: Sequence[Token]
    open: list[_Bracket] = field(default_factory=lambda: [_Bracket(is_query=True)])
    #: How far the present line is moved in.
    depth: int = 0

    def text(self) -> str:
        return "".join(self._parts())

    def _parts(self) -> Iterator[str]:
        end = 0
        for index, token in enumerate(self.tokens):
            gap, word = self.sql[end : token.start], self.sql[token.start : token.end + 1]
            closes = token.token_type is TokenType.R_PAREN and len(self.open) > 1
            closed = self.open.pop() if closes else None
            depth = closed.depth - 1 if closed and closed.is_query else self._depth_of_line(index)
            yield self._between(gap, index, depth)
            yield word
            self._note(index)
            end = token.end + 1
        yield f" {rest}" if (rest := self.sql[end:].strip()) else ""

    def _between(self, gap: str, index: int, depth: int | None) -> str:
        """What stands before a word: a new line, moved in by so much, or a blank where there was
        one."""
        comment = gap.strip()
        if index == 0:
            return f"{comment}\n" if comment else ""
        if depth is None and not comment:
            at_bracket = (
                self._kind(index - 1) is TokenType.L_PAREN or self._kind(index) is TokenType.R_PAREN
            )
            return " " * bool(gap and not at_bracket)
        self.depth = self.depth if depth is None else depth
        # A comment may end with its line.
        return f" {comment}" * bool(comment) + "\n" + _INDENT * self.depth

    def _depth_of_line(self, index: int) -> int | None:
        """How far the line is moved in that a word begins; None for a word inside of one."""
        inside, kind = self.open[-1], self._kind(index)
        if not inside.is_query or inside.cases:
            return None
        if kind in _CONDITIONS:
            return None if kind is TokenType.AND and inside.betweens else inside.depth + 1
        if self._joins(index):
            return inside.depth + 1
        return inside.depth if kind in _CLAUSES else None

    def _joins(self, index: int) -> bool:
        """Whether a join begins here: at `LEFT`, not again at its `JOIN`."""
        kind, after = self._kind(index), self._kind(index - 1) in _JOINING
        if kind in _JOINING:
            return not after and self._kind(index + 1) in {TokenType.JOIN, TokenType.OUTER}
        return kind is TokenType.JOIN and not after

    def _kind(self, index: int) -> TokenType | None:
        return self.tokens[index].token_type if 0 <= index < len(self.tokens) else None

    def _note(self, index: int) -> None:
        """What follows is inside a bracket, or a CASE; or was, until here."""
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
