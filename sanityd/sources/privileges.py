"""Which sources could be written to with the login they were given. sanityd never writes; a login that can't is safer.

Asking takes a connection of its own per source: for people who start something that runs for long, not for each pass.
"""

from collections.abc import Mapping

from sanityd.errors import SanitydError
from sanityd.sources.base import SourceSettings
from sanityd.sources.open import open_source

#: What to do about it, also where there are no logins.
ADVICE = "it never does, but give it a login that can only SELECT; of a file, a user that can only read it"

#: What to do where row-level security hides rows from the login.
SEE_ALL = "give the login a policy that shows it all rows, or BYPASSRLS"


def writable(settings: Mapping[str, SourceSettings]) -> list[str]:
    """The names of the sources whose login can write. One that doesn't answer is left out: nothing is known of it."""
    return [name for name, one in settings.items() if _is_writable(one)]


def warning(name: str) -> str:
    """What is wrong with the rights on a source, in words."""
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
