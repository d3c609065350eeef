"""The bookshelf: what stands on which shelf, who wrote it, and whether it is there."""
import sqlite3
import threading

from web import Refused, route, serve

local = threading.local()


def db():
    if not hasattr(local, "db"):
        local.db = sqlite3.connect("shelf.db")
    return local.db


def author_name(author):
    row = db().execute("SELECT name FROM authors WHERE id = ?", (author,)).fetchone()
    return row[0] if row else "unknown"


def due_date(book):
    row = db().execute("SELECT max(due) FROM loans WHERE book = ?", (book,)).fetchone()
    return row[0]


@route("GET", "/health")
def health(_request):
    return {"open": True}


@route("GET", "/shelves")
def shelves(_request):
    return [{"id": id, "name": name} for id, name in db().execute("SELECT id, name FROM shelves ORDER BY id")]


@route("GET", "/shelves/{shelf}")
def shelf(_request, shelf):
    found = []
    lent = 0
    for book, author, title in db().execute("SELECT id, author, title FROM books WHERE shelf = ?", (shelf,)).fetchall():
        due = due_date(book)
        lent += due is not None
        found.append((title, author_name(author), due))
    if not found:
        raise Refused(404, "no such shelf")
    found.sort()
    return {"shelf": shelf, "books": len(found), "lent": lent, "first": found[:20]}


@route("GET", "/books/{book}")
def book(_request, book):
    row = db().execute("SELECT title, author, pages FROM books WHERE id = ?", (book,)).fetchone()
    if row is None:
        raise Refused(404, "no such book")
    title, author, pages = row
    return {"title": title, "author": author_name(author), "pages": pages, "due": due_date(book)}


@route("GET", "/search")
def search(request):
    start = request.query.get("q", "")
    rows = db().execute("SELECT id, title FROM books WHERE id >= ? ORDER BY id LIMIT 10", (len(start),))
    return [{"id": id, "title": title} for id, title in rows if title.startswith(start)]


serve()
