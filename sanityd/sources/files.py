"""CSV and Parquet files as the tables of a database that lives in memory and can read these files, and no others."""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from glob import glob
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import URL, Connection, event

from sanityd.errors import CheckError, SanitydError, SourceError
from sanityd.sources.base import SourceSettings
from sanityd.sources.catalog import TableInfo
from sanityd.sources.duckdb import GUARDS, OURS, DuckdbSource, seal

#: A file's name: the table, and how it is read.
_FILE = re.compile(r"(.+?)\.(?:(csv|tsv)(?:\.gz)?|(parquet))", re.IGNORECASE)

#: RFC 4180. What DuckDB would guess of these could hide rows: lines that begin with `#`, lines before the first that
#: looks like a header.
_STRICT = "quote = '\"', escape = '\"', comment = '', skip = 0, strict_mode = true"


class FilesSource(DuckdbSource):
    """Each file is a table, named as the file without its suffix. The files are looked for at each snapshot."""

    schemes: ClassVar[frozenset[str]] = frozenset({"files"})

    def __init__(self, settings: SourceSettings, url: URL) -> None:
        super().__init__(settings, url)
        #: The files as they were when the snapshot was taken.
        self._marks: dict[Path, tuple[int, ...]] = {}
        #: What is wrong with files that are no tables, by table.
        self._broken: dict[str, SanitydError] = {}
        event.listen(self.engine, "before_cursor_execute", self._before)

    def check(self) -> None:
        """Raises SourceError when no file is named."""
        if not self.settings.files:
            raise SourceError(
                f"`{self.settings.name}` names no files", "Write `files: exports/*.csv`."
            )

    def guarded(self) -> Any:
        """A new database, whose views are the files, and which can read nothing else."""
        import duckdb

        files = dict(sorted(self._found()))
        self._marks = {path: _mark(path) for path in files.values()}
        rest = {name: value for name, value in GUARDS.items() if name != "enable_external_access"}
        connection = duckdb.connect(config=rest)
        paths = ", ".join(_quoted(str(path)) for path in files.values())
        # These can't be said before a database is open.
        connection.execute(f"SET allowed_paths = [{paths}]")
        connection.execute("SET enable_external_access = false")
        seal(connection)
        for name, path in files.items():
            self._make_view(connection, name, path)
        return connection

    def begin(self, connection: Connection) -> datetime:
        """The views were made with the connection."""
        at = super().begin(connection)
        self._see_to_changes()
        return at

    def describe(self, connection: Connection, name: str, schema: str | None) -> TableInfo | None:
        """What DuckDB says of the view; raises CheckError when the file is broken."""
        if error := self._broken.get(name.lower()):
            raise error
        return super().describe(connection, name, schema)

    def places(self, connection: Connection) -> Sequence[tuple[str | None, str]]:
        """The files, which are views here."""
        return [(None, name) for name in self.table_names(connection, None)]

    def writable(self, connection: Connection) -> bool:
        """Whether our user may write any of the files."""
        return any(os.access(path, os.W_OK) for path in self._marks)

    def explain(self, error: BaseException) -> SanitydError:
        """A table that is missing may be a broken file."""
        said = str(error)
        if found := re.search(r"Table with name (\S+) does not exist", said):
            return self._broken.get(found[1].lower()) or super().explain(error)
        if found := re.search(r"CSV Error on Line: (\d+)", said):
            advice = "Its fields, its quotes or its encoding (UTF-8) are not like those of the other lines."
            return CheckError(f"line {found[1]} of the CSV file can't be read", advice)
        return super().explain(error)

    def _found(self) -> Iterator[tuple[str, Path]]:
        """Tables and their files."""
        names: dict[str, Path] = {}
        for pattern in self.settings.files:
            matching = sorted(
                Path(path) for path in glob(str(self.settings.folder / pattern), recursive=True)
            )
            paths = [path for path in matching if path.is_file()]
            if not paths:
                raise SourceError(
                    f"`{self.settings.name}` can't be read: no file matches `{pattern}`"
                )
            for path in paths:
                name = self._table(path)
                if names.setdefault(name.lower(), path) != path:
                    raise SourceError(
                        f"`{self.settings.name}` has two files that would be the table `{name}`",
                        "Name them apart, or make a source of each folder.",
                    )
                yield name, path

    def _table(self, path: Path) -> str:
        found = _FILE.fullmatch(path.name)
        if found is None or re.search(r"[*?\[\]]", str(path)):
            advice = "A file's name ends in .csv, .tsv, .csv.gz, .tsv.gz or .parquet, and has no * ? [ ] in it."
            raise SourceError(
                f"`{self.settings.name}` can't be read: `{path.name}` is no table", advice
            )
        return found[1]

    def _make_view(self, connection: Any, name: str, path: Path) -> None:
        from duckdb import Error

        timer = self.timer(connection)
        timer.start()
        try:
            reader = (
                f"read_parquet({_quoted(str(path))})"
                if _is_parquet(path)
                else _csv(connection, path)
            )
            connection.execute(f"CREATE VIEW {_name(name)} AS FROM {reader}")
        except (Error, CheckError) as error:
            self._broken[name.lower()] = self._explain_file(path, error)
        finally:
            timer.cancel()

    def _explain_file(self, path: Path, error: Exception) -> SanitydError:
        if isinstance(error, CheckError):
            return error
        said = self.explain(error)
        kind = "Parquet" if _is_parquet(path) else "CSV"
        return CheckError(f"`{path.name}` can't be read as {kind}: {said.message}", said.hint)

    def _before(
        self,
        _connection: Connection,
        _cursor: Any,
        _statement: str,
        _values: Any,
        context: Any,
        _: bool,
    ) -> None:
        if not context.execution_options.get(OURS):
            self._see_to_changes()

    def _see_to_changes(self) -> None:
        """Statements that see different states of the same file could find violations that never were."""
        for path, mark in self._marks.items():
            if _mark(path) != mark:
                advice = "Write it under another name, and rename it when it is complete."
                raise SourceError(
                    f"`{path.name}` of `{self.settings.name}` changed while it was looked at",
                    advice,
                )


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


def _mark(path: Path) -> tuple[int, ...]:
    try:
        state = path.stat()
    except OSError:
        return ()
    return state.st_ino, state.st_size, state.st_mtime_ns


def _csv(connection: Any, path: Path) -> str:
    """How to read a CSV file whose separator, header and types are found in all of its lines."""
    file = _quoted(str(path))
    found = connection.execute(f"FROM sniff_csv({file}, sample_size = -1, {_STRICT})")
    names = [column[0] for column in found.description]
    guess: Mapping[str, Any] = dict(zip(names, found.fetchone(), strict=True))
    columns = {column["name"]: column["type"] for column in guess["Columns"]}
    # Where lines differ, DuckDB takes each line for one value.
    if len(columns) == 1 and re.search(r"[,;\t|]", *columns):
        raise CheckError(
            f"`{path.name}` can't be read as CSV: its lines don't have the same number of fields",
            "Look for lines with too few or too many, for a quote that isn't closed, and for lines above the header.",
        )
    options = [f"delim = {_quoted(guess['Delimiter'])}", f"header = {guess['HasHeader']}", _STRICT]
    for option, key in (("dateformat", "DateFormat"), ("timestampformat", "TimestampFormat")):
        options += [f"{option} = {_quoted(guess[key])}"] if guess[key] else []

    def reader(types: Mapping[str, str]) -> str:
        said = ", ".join(f"{_quoted(name)}: {_quoted(type_)}" for name, type_ in types.items())
        return f"read_csv({file}, auto_detect = false, columns = {{{said}}}, {', '.join(options)})"

    return reader(_exact(connection, columns, reader))


def _exact(
    connection: Any, columns: Mapping[str, str], reader: Callable[[Mapping[str, str]], str]
) -> dict[str, str]:
    """DuckDB takes whole numbers beyond 64 bits for fractions, which makes different ones the same."""
    inexact = [name for name, type_ in columns.items() if type_ == "DOUBLE"]
    if not inexact:
        return dict(columns)
    asked = ", ".join(
        f"bool_and(regexp_full_match({_name(name)}, '[+-]?[0-9]{{1,38}}'))" for name in inexact
    )
    as_text = {**columns, **dict.fromkeys(inexact, "VARCHAR")}
    whole = connection.execute(f"SELECT {asked} FROM {reader(as_text)}").fetchone()
    return {
        **columns,
        **{name: "HUGEINT" for name, is_whole in zip(inexact, whole, strict=True) if is_whole},
    }


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
