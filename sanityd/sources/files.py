"""CSV and Parquet files as views of an in-memory DuckDB that can read no other files."""

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

#: A file's name: the name of the table, and the format.
_FILE = re.compile(r"(.+?)\.(?:(csv|tsv)(?:\.gz)?|(parquet))", re.IGNORECASE)

#: Options for RFC 4180. What DuckDB guesses could hide rows: lines that begin with `#`, or lines
#: before one that looks like a header.
_STRICT = "quote = '\"', escape = '\"', comment = '', skip = 0, strict_mode = true"


_LINE_ADVICE = (
    "Its fields, its quotes or its encoding (UTF-8) are not like those of the other lines."
)


class FilesSource(DuckdbSource):
    """Source of files. Each file is a table, named as the file without its suffix.

    The files are searched at each snapshot.
    """

    schemes: ClassVar[frozenset[str]] = frozenset({"files"})

    def __init__(self, settings: SourceSettings, url: URL) -> None:
        super().__init__(settings, url)
        #: The version of each file when the snapshot was taken.
        self._versions: dict[Path, tuple[int, ...]] = {}
        #: The errors of files that can't be read, by table.
        self._broken: dict[str, SanitydError] = {}
        event.listen(self.engine, "before_cursor_execute", self._before_statement)

    def check_settings(self) -> None:
        """Raise SourceError when no file is named."""
        if not self.settings.files:
            raise SourceError(
                f"`{self.settings.name}` names no files", "Write `files: exports/*.csv`."
            )

    def guarded(self) -> Any:
        """Open a new database with the files as views, which can read nothing else."""
        import duckdb

        files = dict(sorted(self._tables()))
        self._versions = {path: _version(path) for path in files.values()}
        settings = dict(GUARDS)
        del settings["enable_external_access"]
        connection = duckdb.connect(config=settings)
        paths = ", ".join(_quoted(str(path)) for path in files.values())
        # These can't be set before a database is open.
        connection.execute(f"SET allowed_paths = [{paths}]")
        connection.execute("SET enable_external_access = false")
        seal(connection)
        for name, path in files.items():
            self._make_view(connection, name, path)
        return connection

    def begin(self, connection: Connection) -> datetime:
        """Begin, and check that no file changed since the views were made."""
        at = super().begin(connection)
        self._check_changes()
        return at

    def describe(self, connection: Connection, name: str, schema: str | None) -> TableInfo | None:
        """Return the view of a file; raises CheckError when the file can't be read."""
        error = self._broken.get(name.lower())
        if error:
            raise error
        return super().describe(connection, name, schema)

    def all_tables(self, connection: Connection) -> Sequence[tuple[str | None, str]]:
        """Return the files, which are views here."""
        return [(None, name) for name in self.table_names(connection, None)]

    def writable(self, connection: Connection) -> bool:
        """Return whether the user of this process may write any of the files."""
        return any(os.access(path, os.W_OK) for path in self._versions)

    def explain(self, error: BaseException) -> SanitydError:
        """Return the error of a broken file for a missing table; the line of a CSV error."""
        message = str(error)
        missing = re.search(r"Table with name (\S+) does not exist", message)
        if missing:
            return self._broken.get(missing[1].lower()) or super().explain(error)
        bad_line = re.search(r"CSV Error on Line: (\d+)", message)
        if bad_line:
            return CheckError(f"line {bad_line[1]} of the CSV file can't be read", _LINE_ADVICE)
        return super().explain(error)

    def _tables(self) -> Iterator[tuple[str, Path]]:
        """Yield (table, file). Raises SourceError for files that can't be tables."""
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
                name = self._table_name(path)
                if names.setdefault(name.lower(), path) != path:
                    raise SourceError(
                        f"`{self.settings.name}` has two files that would be the table `{name}`",
                        "Name them apart, or make a source of each folder.",
                    )
                yield name, path

    def _table_name(self, path: Path) -> str:
        match = _FILE.fullmatch(path.name)
        if match is None or re.search(r"[*?\[\]]", str(path)):
            advice = (
                "A file's name ends in .csv, .tsv, .csv.gz, .tsv.gz or .parquet,"
                " and has no * ? [ ] in it."
            )
            raise SourceError(
                f"`{self.settings.name}` can't be read: `{path.name}` is no table", advice
            )
        return match[1]

    def _make_view(self, connection: Any, name: str, path: Path) -> None:
        from duckdb import Error

        timer = self.timer(connection)
        timer.start()
        try:
            if _is_parquet(path):
                reader = f"read_parquet({_quoted(str(path))})"
            else:
                reader = _csv(connection, path)
            connection.execute(f"CREATE VIEW {_name(name)} AS FROM {reader}")
        except (Error, CheckError) as error:
            self._broken[name.lower()] = self._explain_file(path, error)
        finally:
            timer.cancel()

    def _explain_file(self, path: Path, error: Exception) -> SanitydError:
        if isinstance(error, CheckError):
            return error
        reason = self.explain(error)
        kind = "Parquet" if _is_parquet(path) else "CSV"
        return CheckError(f"`{path.name}` can't be read as {kind}: {reason.message}", reason.hint)

    def _before_statement(
        self,
        _connection: Connection,
        _cursor: Any,
        _statement: str,
        _values: Any,
        context: Any,
        _: bool,
    ) -> None:
        if not context.execution_options.get(OURS):
            self._check_changes()

    def _check_changes(self) -> None:
        """Raise SourceError when a file changed, so that all statements see the same data."""
        for path, version in self._versions.items():
            if _version(path) != version:
                advice = "Write it under another name, and rename it when it is complete."
                raise SourceError(
                    f"`{path.name}` of `{self.settings.name}` changed while it was read",
                    advice,
                )


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


def _version(path: Path) -> tuple[int, ...]:
    try:
        state = path.stat()
    except OSError:
        return ()
    return state.st_ino, state.st_size, state.st_mtime_ns


def _csv(connection: Any, path: Path) -> str:
    """Return SQL that reads a CSV file, with separator, header and types found from all lines."""
    file = _quoted(str(path))
    sniffed = connection.execute(f"FROM sniff_csv({file}, sample_size = -1, {_STRICT})")
    names = [column[0] for column in sniffed.description]
    guess: Mapping[str, Any] = dict(zip(names, sniffed.fetchone(), strict=True))
    columns = {column["name"]: column["type"] for column in guess["Columns"]}
    # If lines have different numbers of fields, DuckDB takes each line for one value.
    if len(columns) == 1 and re.search(r"[,;\t|]", *columns):
        raise CheckError(
            f"`{path.name}` can't be read as CSV: its lines don't have the same number of fields",
            "Look for lines with too few or too many, for a quote that isn't closed,"
            " and for lines above the header.",
        )
    options = [f"delim = {_quoted(guess['Delimiter'])}", f"header = {guess['HasHeader']}", _STRICT]
    for option, key in (("dateformat", "DateFormat"), ("timestampformat", "TimestampFormat")):
        if guess[key]:
            options.append(f"{option} = {_quoted(guess[key])}")

    def reader(types: Mapping[str, str]) -> str:
        pairs = ", ".join(f"{_quoted(name)}: {_quoted(type_)}" for name, type_ in types.items())
        return f"read_csv({file}, auto_detect = false, columns = {{{pairs}}}, {', '.join(options)})"

    return reader(_exact_types(connection, columns, reader))


def _exact_types(
    connection: Any, columns: Mapping[str, str], reader: Callable[[Mapping[str, str]], str]
) -> dict[str, str]:
    """Return the types, with HUGEINT for whole numbers beyond 64 bits.

    DuckDB takes these for fractions (DOUBLE), which makes different numbers equal.
    """
    types = dict(columns)
    inexact = [name for name, type_ in columns.items() if type_ == "DOUBLE"]
    if not inexact:
        return types
    conditions = ", ".join(
        f"bool_and(regexp_full_match({_name(name)}, '[+-]?[0-9]{{1,38}}'))" for name in inexact
    )
    as_text = {**columns, **dict.fromkeys(inexact, "VARCHAR")}
    answers = connection.execute(f"SELECT {conditions} FROM {reader(as_text)}").fetchone()
    for name, is_whole in zip(inexact, answers, strict=True):
        if is_whole:
            types[name] = "HUGEINT"
    return types


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
