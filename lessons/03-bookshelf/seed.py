"""Makes shelf.db: shelves full of books, their authors, and who borrowed them."""
import os
import random
import sqlite3

SHELVES, BOOKS_ON_A_SHELF, AUTHORS = 40, 500, 900


def main():
    if os.path.exists("shelf.db"):
        os.remove("shelf.db")
    chance = random.Random(3)
    db = sqlite3.connect("shelf.db")
    db.executescript("""
        CREATE TABLE shelves (id INTEGER PRIMARY KEY, name TEXT);
        CREATE TABLE authors (id INTEGER PRIMARY KEY, name TEXT);
        CREATE TABLE books (id INTEGER PRIMARY KEY, shelf INTEGER, author INTEGER, title TEXT, pages INTEGER);
        CREATE TABLE loans (book INTEGER, reader TEXT, due TEXT);
        CREATE INDEX books_by_shelf ON books (shelf);
        CREATE INDEX loans_by_book ON loans (book);
    """)
    db.executemany("INSERT INTO shelves VALUES (?, ?)", [(n, f"Shelf {n}") for n in range(1, SHELVES + 1)])
    db.executemany("INSERT INTO authors VALUES (?, ?)", [(n, f"Author {n}") for n in range(1, AUTHORS + 1)])
    books = range(1, SHELVES * BOOKS_ON_A_SHELF + 1)
    db.executemany(
        "INSERT INTO books VALUES (?, ?, ?, ?, ?)",
        [(n, 1 + n % SHELVES, chance.randint(1, AUTHORS), f"Book {n}", chance.randint(60, 900)) for n in books],
    )
    db.executemany(
        "INSERT INTO loans VALUES (?, ?, ?)",
        [(chance.choice(books), f"reader{n}", f"2024-{1 + n % 12:02}-{1 + n % 28:02}") for n in range(15000)],
    )
    db.commit()


main()
