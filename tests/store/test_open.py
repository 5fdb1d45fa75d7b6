"""A store opens, is private, is migrated once, and says in words why it can't be used."""

import os
import sqlite3
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, inspect, make_url, text
from sqlalchemy.exc import DBAPIError

from sanityd.errors import StoreError
from sanityd.store import open as opening
from sanityd.store import rules_seen
from sanityd.store.open import HEAD, Store
from sanityd.store.tables import metadata

AT = datetime(2026, 11, 23, 8, 5, tzinfo=UTC)

#: All that takes time is done before it is ready, so that several come to the store in the same
#: moment.
OPENS_WHEN_TOLD = """
import pathlib, sys
import sanityd.store.migrate
from sanityd.store.open import Store
print("ready", flush=True)
sys.stdin.readline()
store = Store.open(sys.argv[1], pathlib.Path.cwd())
with store.read() as memory:
    print(*memory.exec_driver_sql("SELECT version_num FROM alembic_version").scalars())
store.close()
"""


def test_a_new_store_stands_beside_the_rules_file_and_is_private(tmp_path: Path) -> None:
    """Keys of rows are in it."""
    Store.open(None, tmp_path).close()
    home = tmp_path / ".sanityd"
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "state.db").stat().st_mode) == 0o600


def test_every_file_of_a_store_that_is_named_is_private_too(tmp_path: Path) -> None:
    """The log that SQLite keeps beside the file holds the same rows."""
    before = os.umask(0)
    try:
        store = Store.open(f"sqlite:///{tmp_path}/state.db", tmp_path)
        with store.write() as memory:
            rules_seen.save(memory, "f", {"r": "m"}, "v", AT)
            modes = {
                file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.glob("state.db*")
            }
        store.close()
    finally:
        os.umask(before)
    assert modes == {"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}


def test_a_store_can_be_opened_again(url: str, tmp_path: Path) -> None:
    for _ in range(2):
        store = Store.open(url, tmp_path)
        with store.read() as memory:
            assert memory.execute(
                text("SELECT version_num FROM alembic_version")
            ).scalars().all() == [HEAD]
            assert set(metadata.tables) <= set(inspect(memory).get_table_names())
        store.close()


def test_what_fails_in_a_transaction_leaves_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.write() as memory:
        rules_seen.save(memory, "f", {"r": "m"}, "v", AT)
        raise ZeroDivisionError
    with store.read() as memory:
        assert rules_seen.meaning(memory, "f", "r") is None


def test_what_is_read_in_one_transaction_is_of_one_instant(store: Store) -> None:
    with store.read() as reader:
        assert rules_seen.meaning(reader, "f", "r") is None
        with store.write() as memory:
            rules_seen.save(memory, "f", {"r": "m"}, "v", AT)
        assert rules_seen.meaning(reader, "f", "r") is None
    with store.read() as reader:
        assert rules_seen.meaning(reader, "f", "r") == "m"


def test_a_file_is_called_by_its_name_and_a_server_by_its_kind(
    sqlite: str, postgres: str, tmp_path: Path
) -> None:
    names = []
    for url in (sqlite, postgres, postgres.replace("postgresql+psycopg:", "postgres:")):
        store = Store.open(url, tmp_path)
        names.append(store.name)
        store.close()
    assert names == ["database.sqlite3", "PostgreSQL", "PostgreSQL"]


def test_a_store_of_a_newer_version_is_refused(url: str, tmp_path: Path) -> None:
    store = Store.open(url, tmp_path)
    with store.write() as memory:
        memory.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(StoreError, match=r"newer sanityd.*9999") as refusal:
        Store.open(url, tmp_path)
    assert "Install the newer version" in refusal.value.hint
    assert url not in str(refusal.value)


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("dear diary\n" * 500)
    with pytest.raises(StoreError, match=r"notes\.txt.*is not a SQLite database"):
        Store.open(f"sqlite:///{file}", tmp_path)
    assert file.read_text().startswith("dear diary")


def test_a_damaged_file_is_told_from_a_good_one(tmp_path: Path) -> None:
    store = Store.open(None, tmp_path)
    store.close()
    file = tmp_path / ".sanityd" / "state.db"
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    file.write_bytes(content)
    with pytest.raises(StoreError, match="damaged") as refusal:
        Store.open(None, tmp_path)
    assert "backup" in refusal.value.hint


def test_a_folder_that_is_not_there_is_named_in_words(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="can't be opened"):
        Store.open(f"sqlite:///{tmp_path}/nowhere/state.db", tmp_path)


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="can't be opened"):
        Store.open(f"sqlite:///{tmp_path}", tmp_path)


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A folder that may be read only; root, who may write everywhere, becomes somebody else
    meanwhile."""
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        if root:
            os.seteuid(65534)
        yield folder
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


def test_a_folder_that_may_not_be_written_is_refused_in_words(as_nobody: Path) -> None:
    with pytest.raises(
        StoreError, match=r"`\.sanityd` can't be made \(Permission denied\)"
    ) as made:
        Store.open(None, as_nobody)
    assert "rights" in made.value.hint
    with pytest.raises(StoreError, match=r"state\.db\) can't be opened") as opened:
        Store.open(f"sqlite:///{as_nobody}/state.db", as_nobody)
    assert "may be written" in opened.value.hint


def test_a_locked_new_store_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sanityd.store.open._WAIT_SECONDS", 0.2)
    other = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match=r"state\.db\) is locked by somebody else") as refusal:
        Store.open(f"sqlite:///{tmp_path}/state.db", tmp_path)
    assert "Try again" in refusal.value.hint
    other.close()
    Store.open(f"sqlite:///{tmp_path}/state.db", tmp_path).close()


def test_a_locked_store_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sanityd.store.open._WAIT_SECONDS", 0.2)
    store = Store.open(None, tmp_path)
    other = sqlite3.connect(tmp_path / ".sanityd" / "state.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked by somebody else"), store.write():
        pass
    other.close()
    with store.write():
        pass
    store.close()


def test_a_url_of_sqlite_with_two_slashes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="names no file"):
        Store.open("sqlite://x/state.db", tmp_path)


def test_another_kind_of_database_is_refused_with_what_to_change(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="can be SQLite or PostgreSQL, nothing else") as refusal:
        Store.open("mysql://a:b@h/x", tmp_path)
    assert "SANITYD_STATE" in refusal.value.hint


def test_an_option_that_the_driver_does_not_take_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        Store.open(f"sqlite:///{tmp_path}/state.db?timeout=soon", tmp_path)


def test_a_wrong_password_is_not_repeated(postgres: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"PostgreSQL\) can't be used") as refusal:
        Store.open(
            make_url(postgres).set(password="pa55word").render_as_string(hide_password=False),
            tmp_path,
        )
    assert "pa55word" not in f"{refusal.value} {refusal.value.hint}"


@pytest.mark.parametrize(
    "wrong",
    [
        "mysql://a:pa55word@h/x",
        "nonsense://pa55word",
        "pa55word",
        "postgresql://a:pa55word@h:port/x",
        "postgresql://a:pa55word@127.0.0.1:1/x?pa55word=pa55word",
    ],
)
def test_a_url_that_is_of_no_use_is_refused_without_being_told(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError) as refusal:
        Store.open(wrong, tmp_path)
    assert "pa55word" not in f"{refusal.value} {refusal.value.hint}"


def test_a_server_that_is_down_is_told_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as refusal:
        Store.open("postgresql://u:pa55word@127.0.0.1:1/x", tmp_path)
    assert "pa55word" not in f"{refusal.value} {refusal.value.hint}"


def test_several_can_make_the_same_store_at_once(url: str, race: Callable[..., list[str]]) -> None:
    """Cron lines and a daemon may all start for the first time in the same second."""
    assert race(OPENS_WHEN_TOLD, 4, url) == [HEAD + "\n"] * 4


def test_who_opens_a_file_that_another_just_writes_waits_for_it(tmp_path: Path) -> None:
    """SQLite itself would not: of several that begin at once all but one were refused."""
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        end = threading.Timer(0.3, other.execute, ("ROLLBACK",))
        end.start()
        Store.open(f"sqlite:///{path}", tmp_path).close()
        end.join()


def test_who_comes_while_a_store_is_being_made_waits_for_it(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race above, with the moment held still."""
    made = threading.Event()

    def slowly(connection: Connection) -> None:
        make_now(connection)
        made.set()
        time.sleep(0.5)

    make_now = opening._make
    monkeypatch.setattr(opening, "_make", slowly)
    first = threading.Thread(target=lambda: Store.open(url, tmp_path).close())
    first.start()
    assert made.wait(30)
    Store.open(url, tmp_path).close()
    first.join(30)


def test_a_server_whose_store_is_locked_is_not_waited_for_without_end(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sanityd.store.open._WAIT_SECONDS", 1)
    first, second = Store.open(postgres, tmp_path), Store.open(postgres, tmp_path)
    with first.write(), pytest.raises(StoreError, match="locked by somebody else"), second.write():
        pass
    first.close()
    second.close()


def test_a_store_that_is_not_there_is_not_made_by_looking(tmp_path: Path) -> None:
    assert Store.existing(None, tmp_path) is None
    assert Store.existing("sqlite:///state.db", tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_an_existing_store_is_read_and_can_not_be_written(url: str, tmp_path: Path) -> None:
    with closing(Store.open(url, tmp_path)) as store, store.write() as memory:
        rules_seen.save(memory, "f", {"r": "m"}, "v", AT)
    existing = Store.existing(url, tmp_path)
    assert existing is not None
    with closing(existing), existing.read() as memory:
        assert rules_seen.meaning(memory, "f", "r") == "m"
        with pytest.raises(DBAPIError, match=r"read-?only"):
            rules_seen.save(memory, "f", {"r": "n"}, "v", AT)


def test_an_existing_store_of_another_version_is_not_read(url: str, tmp_path: Path) -> None:
    with closing(Store.open(url, tmp_path)) as store, store.write() as memory:
        memory.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    with pytest.raises(StoreError, match="another version"):
        Store.existing(url, tmp_path)


def test_our_own_threads_are_not_somebody_else(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sanityd.store.open._OWN_WAIT_SECONDS", 0.05)
    refusals: list[StoreError] = []

    def write() -> None:
        try:
            with store.write():
                pass
        except StoreError as error:
            refusals.append(error)

    with closing(Store.open(url, tmp_path)) as store:
        with store.write():
            thread = threading.Thread(target=write)
            thread.start()
            thread.join()
        write()
    assert [refusal.message.partition("is ")[2] for refusal in refusals] == [
        "busy: another thread of this process has been writing for 0.05 s"
    ]
