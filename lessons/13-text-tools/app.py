"""Tools for people who write: compare drafts, count words, set text in columns."""
import json
import textwrap

from compare import compare
from web import Refused, route, serve

with open("texts.json") as file:
    TEXTS = json.load(file)


@route("GET", "/health")
def health(_request):
    return {"open": True}


@route("GET", "/drafts")
def drafts(_request):
    return {name: len(lines) for name, lines in TEXTS.items()}


@route("GET", "/changes")
def changes(request):
    width = int(request.query.get("width", "40"))
    if not 10 <= width <= 200:
        raise Refused(422, "a column has 10 to 200 letters")
    found, column = compare(TEXTS["first"], TEXTS["second"], width)
    return {"changes": len(found), "lines": column.count("\n") + 1}


@route("POST", "/words")
def words(request):
    text = request.form.get("text", "")
    return {"words": len(text.split()), "short": textwrap.shorten(text, 40)}


serve()
