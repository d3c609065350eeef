"""The town's archive: find a name however it was spelt, and look at the centuries."""
from records import records
from web import Refused, route, serve

RECORDS = records(20000)
SOUNDS = str.maketrans("bfpvcgjkqsxzdtlmnr", "111122222222334556")
NAMES = sorted({record["name"] for record in RECORDS})


def sound(word):
    """Like soundex: the first letter, then what the consonants sound like."""
    word = word.lower()
    code = word[:1]
    last = ""
    for letter in word[1:]:
        heard = letter.translate(SOUNDS) if letter.isalpha() else ""
        if heard.isdigit() and heard != last:
            code += heard
        last = heard
    return (code + "000")[:4]


def sounds_like(wanted):
    words = [sound(word) for word in wanted.split()]
    found = []
    for name in NAMES:
        if all(any(sound(part) == word for part in name.split()) for word in words):
            found.append(name)
    return found


def century_table():
    """How many of each kind in each decade, and how the decades follow each other."""
    table = {}
    for record in RECORDS:
        decade = record["year"] // 10 * 10
        row = table.setdefault(decade, {"birth": 0, "wedding": 0, "burial": 0, "names": {}})
        row[record["kind"]] += 1
        row["names"][record["name"]] = row["names"].get(record["name"], 0) + 1
    decades = sorted(table)
    for before, after in zip(decades, decades[1:]):
        shared = set(table[before]["names"]) & set(table[after]["names"])
        table[after]["stayed"] = len(shared)
    usual = {decade: max(table[decade]["names"].items(), key=lambda item: (item[1], item[0]))[0] for decade in decades}
    ranked = [sorted(table[decade]["names"].items(), key=lambda item: -item[1])[:3] for decade in decades for _ in range(12)]
    return {"decades": len(decades), "usual": usual, "rows": len(ranked)}


@route("GET", "/health")
def health(_request):
    return {"open": True}


@route("GET", "/names")
def names(request):
    wanted = request.query.get("like", "")
    if not wanted:
        raise Refused(422, "which name?")
    return {"names": sounds_like(wanted)}


@route("GET", "/records/{record}")
def record(_request, record):
    if not record.isdigit() or int(record) >= len(RECORDS):
        raise Refused(404, "no such record")
    return RECORDS[int(record)]


@route("GET", "/centuries")
def centuries(_request):
    return century_table()


serve()
