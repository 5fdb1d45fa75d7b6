"""The application of the demo and what befalls it, scene by scene. Plain SQL; knows nothing of
rules or mails."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

PEOPLE = 1000

_TABLES = """
create table people (
    id integer primary key, name text, email text not null, status text not null,
    created_at text not null
);
create table mails (
    id integer primary key, person_id integer not null, template text not null, status text not null
);
create index mails_of_person on mails (person_id);
"""

_SIGN_UPS = """
with recursive number (n) as (select 1 union all select n + 1 from number where n < :people)
insert into people
select n, 'Person ' || n, 'person' || n || '@example.com', 'confirmed',
       datetime('now', '-1 day', '-' || n || ' minutes')
from number
"""

_GREETINGS = (
    "insert into mails (person_id, template, status) select id, 'welcome', 'sent' from people"
)


@dataclass(frozen=True, slots=True)
class Scene:
    """One thing that happened: a heading, what happened in the application, and what it did to the
    data."""

    heading: str
    happened: str
    sql: str = ""


SCENES = (
    Scene(
        "All is well",
        f"{PEOPLE:,} people have signed up, and each was sent a welcome mail.",
    ),
    Scene(
        "A queue time-out loses three welcome mails",
        "The sign-up enqueues the mail and the queue times out. The person exists, the mail was\n"
        "never sent, and the address can't sign up again. Nobody saw an exception.",
        "update mails set status = 'queued' where person_id in (7, 77, 777)",
    ),
    Scene(
        "A bought competitor's users are imported",
        "The import did not use the application's validations. The unique constraint of the\n"
        "database accepts `Person42@example.com ` beside `person42@example.com`.",
        """
        insert into people values
            (1001, 'Ada',  'Person42@example.com ', 'confirmed', datetime('now', '-2 hours')),
            (1002, 'Bert', 'person43@EXAMPLE.com',  'imported',  datetime('now', '-2 hours')),
            (1003, 'Cleo', 'cleo@example.com',      'imported',  datetime('now', '-2 hours'));
        insert into mails (person_id, template, status)
            select id, 'welcome', 'sent' from people where id > 1000;
        """,
    ),
    Scene(
        "A job dies half-way and is replayed",
        "The mailer is a service now. It died after the 500th of 512 mails, and the job was\n"
        "started again from the first.",
        """
        insert into mails (person_id, template, status)
            select id, 'welcome', 'sent' from people where id between 501 and 512;
        """,
    ),
    Scene(
        "The team repairs it",
        "The lost mails were sent, the accounts merged, the replayed mails taken back.",
        """
        update mails set status = 'sent' where status = 'queued';
        delete from mails where id not in (select min(id) from mails group by person_id, template);
        delete from people where id in (1001, 1002);
        delete from mails where person_id in (1001, 1002);
        update people set status = 'new' where status = 'imported';
        """,
    ),
)


def begin(database: Path) -> None:
    """Make the application's database, with everything right."""
    connection = sqlite3.connect(database)
    try:
        connection.executescript(_TABLES)
        connection.execute(_SIGN_UPS, {"people": PEOPLE})
        connection.execute(_GREETINGS)
        connection.commit()
    finally:
        connection.close()


def play(scene: Scene, database: Path) -> None:
    """Let a scene happen to the application's data."""
    connection = sqlite3.connect(database)
    try:
        connection.executescript(scene.sql)
    finally:
        connection.close()
