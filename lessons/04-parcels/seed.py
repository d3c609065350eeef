"""Makes parcels.db: parcels on their way, and the depots they pass."""
import os
import random
import sqlite3

PARCELS, DEPOTS = 120_000, 60


def code_of(number):
    return f"PX{(number * 7919) % 9_999_991:07}DE"


def main():
    if os.path.exists("parcels.db"):
        os.remove("parcels.db")
    chance = random.Random(4)
    db = sqlite3.connect("parcels.db")
    db.execute("PRAGMA journal_mode = WAL")
    db.executescript("""
        CREATE TABLE depots (id INTEGER PRIMARY KEY, town TEXT, docks INTEGER);
        CREATE TABLE parcels (id INTEGER PRIMARY KEY, code TEXT, depot INTEGER, weight INTEGER, state TEXT);
    """)
    db.executemany("INSERT INTO depots VALUES (?, ?, ?)", [(n, f"Town {n}", 4 + n % 9) for n in range(1, DEPOTS + 1)])
    db.executemany(
        "INSERT INTO parcels VALUES (?, ?, ?, ?, ?)",
        ((n, code_of(n), chance.randint(1, DEPOTS), chance.randint(50, 9000), "on its way") for n in range(1, PARCELS + 1)),
    )
    db.commit()


if __name__ == "__main__":
    main()
