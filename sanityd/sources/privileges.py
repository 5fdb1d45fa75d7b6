"""Finds sources to which their login could write. sanityd never writes; SELECT is all it needs.

This opens a connection per source, so it is done at the start of long-running commands only.
"""

from collections.abc import Mapping

from sanityd.errors import SanitydError
from sanityd.sources.base import SourceSettings
from sanityd.sources.open import open_source

#: Advice for a login that could write; for a file, it is the user of the process.
ADVICE = (
    "it never does, but give it a login that can only SELECT;"
    " of a file, a user that can only read it"
)

#: Advice for row-level security that hides rows from the login.
SEE_ALL = "give the login a policy that shows it all rows, or BYPASSRLS"


def writable(settings: Mapping[str, SourceSettings]) -> list[str]:
    """Return the names of the sources whose login can write, without those that don't answer."""
    return [name for name, source in settings.items() if _is_writable(source)]


def warning(name: str) -> str:
    """Return the warning about a source that could be written to."""
    return f"sanityd could write to source `{name}`"


def _is_writable(settings: SourceSettings) -> bool:
    try:
        source = open_source(settings)
        try:
            return source.can_write()
        finally:
            source.close()
    except SanitydError:
        return False
