-- A small shop with what tools disagree about: NULLs, blanks, duplicates, dangling references. SQLite and DuckDB read it.
CREATE TABLE people (id integer PRIMARY KEY, email text, name text, status text, age integer, country text, code text);
INSERT INTO people VALUES
    (1, 'a@x.org', 'Ana', 'new', 30, 'DE', 'AB1'),
    (2, 'b@x.org', 'Ben', 'paid', 40, 'DE', 'AB2'),
    (3, 'b@x.org', '', 'paid', 150, 'FR', 'XX'),
    (4, NULL, '  ', 'void', NULL, NULL, NULL),
    (5, NULL, 'Eve', NULL, -1, 'XX', 'ab1x');
CREATE TABLE countries (code text, name text);
INSERT INTO countries VALUES ('DE', 'Germany'), ('FR', 'France'), (NULL, 'nowhere');
CREATE TABLE orders (
    id integer PRIMARY KEY, person_id integer, country text, total integer, subtotal integer, tax integer, placed_at timestamp
);
INSERT INTO orders VALUES
    (1, 1, 'DE', 12, 10, 2, '2020-01-01 00:00:00'),
    (2, 2, NULL, 15, 10, 2, '2020-01-02 00:00:00'),
    (3, 9, 'FR', NULL, 10, 2, '2020-01-03 00:00:00'),
    (4, NULL, NULL, 12, 10, 2, '2020-01-04 00:00:00'),
    (5, 2, NULL, 3, 2, 1, '2020-01-05 00:00:00');
CREATE TABLE people_copy (id integer PRIMARY KEY, email text, country text);
INSERT INTO people_copy VALUES
    (1, 'a@x.org', 'DE'), (2, 'b@x.org', 'DE'), (3, 'b@x.org', 'FR'), (4, NULL, NULL), (5, NULL, NULL);
CREATE TABLE addresses (id integer PRIMARY KEY, person_id integer, country text);
INSERT INTO addresses VALUES (1, 1, 'DE'), (2, 2, 'DE'), (3, 3, NULL), (4, NULL, NULL);
CREATE TABLE slots (id integer PRIMARY KEY, room integer, starts integer, ends integer);
INSERT INTO slots VALUES (1, 1, 1, 5), (2, 1, 4, 8), (3, 2, 1, 3);
CREATE TABLE bookings (id integer PRIMARY KEY, room integer, starts integer, ends integer);
INSERT INTO bookings VALUES (1, 1, 1, 5), (2, 1, 5, 8), (3, 2, 1, 3), (4, 2, 6, 7);
CREATE TABLE endless (id integer PRIMARY KEY, room integer, starts integer, ends integer);
INSERT INTO endless VALUES (1, 1, 1, NULL);
CREATE TABLE numbers (id integer PRIMARY KEY, good integer, holes integer, twice integer, tens integer, same integer, nil integer);
INSERT INTO numbers VALUES (1, 1, 1, 1, 10, 7, NULL), (2, 2, 2, 2, 20, 7, NULL), (3, 3, 4, 2, 30, 7, NULL), (4, NULL, NULL, 3, NULL, NULL, NULL);
CREATE TABLE nobody (id integer PRIMARY KEY, seen_at timestamp, age integer);
CREATE TABLE events (id integer PRIMARY KEY, seen_at timestamp);
INSERT INTO events VALUES (1, '2020-01-01 00:00:00'), (2, CURRENT_TIMESTAMP), (3, NULL);
