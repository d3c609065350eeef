"""Makes lunch.db: dishes, and what people thought of them over the years."""
import os
import random
import sqlite3

DISHES, OPINIONS = 150, 60_000


def main():
    if os.path.exists("lunch.db"):
        os.remove("lunch.db")
    chance = random.Random(12)
    db = sqlite3.connect("lunch.db")
    db.executescript("""
        PRAGMA journal_mode = WAL;
        CREATE TABLE dishes (id INTEGER PRIMARY KEY, name TEXT, cents INTEGER, kitchen INTEGER);
        CREATE TABLE opinions (id INTEGER PRIMARY KEY, dish INTEGER, stars INTEGER, year INTEGER);
        CREATE TABLE wishes (id INTEGER PRIMARY KEY, text TEXT);
        CREATE INDEX opinions_by_dish ON opinions (dish, year, stars);
    """)
    db.executemany(
        "INSERT INTO dishes VALUES (?, ?, ?, ?)", [(n, f"Dish {n}", 350 + n * 37 % 900, n % 4) for n in range(1, DISHES + 1)]
    )
    db.executemany(
        "INSERT INTO opinions VALUES (?, ?, ?, ?)",
        ((n, chance.randint(1, DISHES), chance.randint(1, 5), 2015 + n % 10) for n in range(OPINIONS)),
    )
    db.commit()


main()
