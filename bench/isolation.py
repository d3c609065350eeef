"""The isolation check on planted apps: is hidden state found, and is nothing found where nothing is hidden?

    cargo build --release
    python3 bench/isolation.py                     # every planted kind, and ten clean runs
    python3 bench/isolation.py --only session,lock --clean 0
    python3 bench/isolation.py --planted 0 --clean 100

The apps are bench/isolation/app.py (Python), app.js (Node) and App.java (a JDK); each needs nothing but its language.
"""

import argparse
import atexit
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
APPS = {
    "python": ("app.py", "exec python3 app.py"),
    "node": ("app.js", "exec node app.js"),
    "java": ("App.java", "exec java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto -cp . App"),
}


def ask(line, body=None, status=200, more="", headers=""):
    sent = json.dumps(body) + "\n" if body is not None else ""
    method, path = line.split(" ")
    return f"{method} {{{{base}}}}{path}\n{headers}{sent}HTTP {status}\n{more}\n"


def capture(name, query):
    return f"[Captures]\n{name}: {query}\n"


WHO = "[Options]\nvariable: who={{newUuid}}\n"


def named(line, body, status=200, more=""):
    """The first request of a journey whose user has a name of its own."""
    method, path = line.split(" ")
    return f"{method} {{{{base}}}}{path}\n{WHO}{json.dumps(body)}\nHTTP {status}\n{more}\n"


# kind -> (language, journey, classes that are right, the request that differs first)
KINDS = {
    "session": ("python", named("POST /login", {"name": "{{who}}"}) + ask("GET /me"), ["session"], "GET /me"),
    "secret": (
        "python",
        named("POST /token", {"name": "{{who}}"}, more=capture("token", 'jsonpath "$.token"'))
        + ask("GET /signed", headers="Authorization: Bearer {{token}}\n"),
        ["secret"],
        "GET /signed",
    ),
    "cache": (
        "python",
        ask("GET /items") + named("POST /items", {"name": "{{who}}"}, 201) + ask("GET /items") + ask("GET /items"),
        ["cache"],
        "GET /items",
    ),
    "counter": ("python", ask("POST /views", {}) + ask("POST /views", {}), ["counter"], "POST /views"),
    "lock": ("python", named("POST /members", {"name": "{{who}}"}, 201), ["lock"], "POST /members"),
    "upload": (
        "python",
        "POST {{base}}/files\n`a picture {{newUuid}}`\nHTTP 201\n" + capture("file", 'jsonpath "$.file"') + "\n"
        + ask("GET /files/{{file}}"),
        ["file"],
        "GET /files/{file}",
    ),
    "cron": ("python", ask("GET /reports"), ["scheduled"], None),
    "migration": ("python", ask("GET /health"), ["migration"], None),
    "connection": (
        "python",
        named("POST /basket", {"basket": "{{who}}", "item": "tea"})
        + ask("POST /basket", {"basket": "{{who}}", "item": "milk"})
        + ask("POST /commit", {"basket": "{{who}}"})
        + ask("GET /items"),
        ["records", "connection"],
        "GET /items",
    ),
    "idgen": ("python", ask("POST /invoices", {"for": "ann"}, 201) + ask("POST /invoices", {"for": "bob"}, 201), ["counter", "sequence"], "POST /invoices"),
    "csrf": (
        "python",
        ask("GET /form", more=capture("csrf", 'regex "value=\\"([0-9a-f]+)\\""')) + ask("POST /form", {"csrf": "{{csrf}}"}),
        ["session", "one_time"],
        "POST /form",
    ),
    "writebehind": (
        "python",
        "PUT {{base}}/profile\n" + WHO + '{"who": "{{who}}", "city": "Ulm"}\nHTTP 200\n\n' + ask("GET /profile/{{who}}"),
        ["records"],
        "GET /profile/{who}",
    ),
    "websocket": (
        "node",
        "#> WEBSOCKET {{base}}/live\n#> HTTP 101\n\n" + ask("POST /say", {"text": "hello"}, 201)
        + '#> RECEIVE said\n#> [Options]\n#> within: 1s\n#> MESSAGE\n#> [Where]\n#> jsonpath "$.said" == "hello"\n#>\n#> CLOSE\n',
        ["broadcast"],
        "RECEIVE /live#said",
    ),
    "pubsub": (
        "node",
        "#> EVENTS {{base}}/events\n\n" + ask("POST /news", {"text": "hello"}, 201)
        + "#> RECEIVE news\n#> [Options]\n#> within: 1s\n#> EVENT news\n#>\n#> CLOSE\n",
        ["broadcast"],
        "RECEIVE /events#news",
    ),
    "queue": (
        "node",
        named("POST /jobs", {"text": "{{who}}"}, 202, capture("job", 'jsonpath "$.job"')) + ask("GET /jobs/{{job}}"),
        ["records", "queue"],
        "GET /jobs/{job}",
    ),
    "ratelimit": (
        "node",
        named("POST /call", {"who": "{{who}}"}) + ask("POST /call", {"who": "{{who}}"}) * 2 + ask("POST /call", {"who": "{{who}}"}, 429),
        ["rate_limit", "counter"],
        "POST /call",
    ),
    "flags": ("node", ask("PUT /flags", {"on": True}) + ask("GET /banner"), ["records", "cache"], "GET /banner"),
    "idempotency": (
        "node",
        "POST {{base}}/payments\nIdempotency-Key: {{key}}\n[Options]\nvariable: key={{newUuid}}\n{\"amount\": 5}\nHTTP 201\n\n"
        + "POST {{base}}/payments\nIdempotency-Key: {{key}}\n{\"amount\": 5}\nHTTP 200\n\n",
        ["records", "idempotency"],
        "POST /payments",
    ),
    "unique": (
        "node",
        named("POST /users", {"name": "{{who}}"}, 201) + ask("POST /users", {"name": "{{who}}"}, 409),
        ["records", "uniqueness"],
        "POST /users",
    ),
    "lru": (
        "node",
        "PUT {{base}}/price/tea\n{\"price\": 3}\nHTTP 200\n\n" + ask("GET /price/tea")
        + "PUT {{base}}/price/tea\n{\"price\": 4}\nHTTP 200\n\n" + ask("GET /price/tea") * 2,
        ["cache"],
        "GET /price/tea",
    ),
    "lazyindex": (
        "node",
        ask("GET /search/tea") + named("POST /docs", {"title": "{{who}}", "text": "green tea"}, 201) + ask("GET /search/tea") * 2,
        ["cache", "records"],
        "GET /search/tea",
    ),
    "tempfile": (
        "node",
        named("POST /preview", {"name": "{{who}}", "text": "draft"}, 201) + ask("GET /preview/{{who}}"),
        ["file", "records"],
        "GET /preview/{who}",
    ),
    "pid": (
        "node",
        ask("POST /ticket", {}, 201, capture("ticket", 'jsonpath "$.ticket"')) + ask("GET /ticket/{{ticket}}"),
        ["secret", "records", "other", "session"],
        "GET /ticket/{ticket}",
    ),
    "sequence": ("node", ask("POST /sequence", {}, 201), ["lock"], "POST /sequence"),
    "cart": (
        "java",
        named("POST /cart", {"who": "{{who}}", "item": "tea"}) + ask("GET /cart/{{who}}"),
        ["session", "records"],
        "GET /cart/{who}",
    ),
    "otp": (
        "java",
        named("POST /code", {"who": "{{who}}"}, more=capture("digits", 'jsonpath "$.sent"'))
        + ask("POST /verify", {"who": "{{who}}", "digits": "{{digits}}"}),
        ["session", "one_time", "records"],
        "POST /verify",
    ),
    "cursor": (
        "java",
        ask("GET /pages", more=capture("next", 'jsonpath "$.next"')) + ask("GET /pages/{{next}}"),
        ["records", "session"],
        "GET /pages/{next}",
    ),
    "chunks": (
        "java",
        "PUT {{base}}/chunk/{{who}}\n" + WHO + '{"part": 1}\nHTTP 200\n\n'
        + "".join(f'PUT {{{{base}}}}/chunk/{{{{who}}}}\n{{"part": {n}}}\nHTTP 200\n\n' for n in (2, 3)),
        ["records", "file"],
        "PUT /chunk/{who}",
    ),
    "version": (
        "java",
        "PUT {{base}}/page/{{who}}\n" + WHO + '{"version": 0}\nHTTP 200\n' + capture("version", 'jsonpath "$.version"') + "\n"
        + 'PUT {{base}}/page/{{who}}\n{"version": {{version}}}\nHTTP 200\n\n',
        ["records", "counter"],
        "PUT /page/{who}",
    ),
    "progress": (
        "java",
        "POST {{base}}/export/{{who}}\n" + WHO + "{}\nHTTP 202\n\n" + ask("GET /export/{{who}}"),
        ["records", "queue"],
        "GET /export/{who}",
    ),
    "lockout": (
        "java",
        named("POST /signin", {"who": "{{who}}"}, 401) + ask("POST /signin", {"who": "{{who}}"}, 401) + ask("POST /signin", {"who": "{{who}}"}, 423),
        ["rate_limit"],
        "POST /signin",
    ),
    "prize": ("java", ask("POST /prize", {}) * 2, ["records", "uniqueness", "counter", "other"], "POST /prize"),
    "check": ("java", named("POST /seat", {"seat": "{{who}}"}, 201), ["lock"], "POST /seat"),
}
ALWAYS = {"python": ask("GET /noise") + ask("GET /page"), "node": ask("GET /noise"), "java": ask("GET /noise")}


def run(fissure, language, planted, kinds, seed, budget, keep):
    folder = tempfile.mkdtemp(prefix="isolation-")
    source, command = APPS[language]
    shutil.copy(os.path.join(HERE, "isolation", source), folder)
    if source.endswith(".java"):
        for name in os.listdir(os.path.join(BUILT, "java")):
            shutil.copy(os.path.join(BUILT, "java", name), folder)
    os.mkdir(os.path.join(folder, "journeys"))
    for kind in kinds:
        with open(os.path.join(folder, "journeys", f"{kind}.hurl"), "w") as file:
            file.write(KINDS[kind][1])
    with open(os.path.join(folder, "journeys", "always.hurl"), "w") as file:
        file.write(ALWAYS[language])
    with open(os.path.join(folder, "fissure.toml"), "w") as file:
        file.write(
            f'[app]\ncommand = "{command}"\nhealth = "/health"\nenv = {{ PLANTED = "{planted}" }}\n'
            "[users]\n[goal]\nusers = 5\np95 = \"500ms\"\n"
        )
    began = time.time()
    # Some kinds write where the machine keeps temporary files.
    with tempfile.TemporaryDirectory(prefix="isolation-tmp-") as temp:
        done = subprocess.run(
            [fissure, "isolate", "--json", "--seed", str(seed), "--budget", budget],
            cwd=folder, env={**os.environ, "TMPDIR": temp}, capture_output=True, text=True, check=False,
        )
    took = time.time() - began
    try:
        report = json.loads(done.stdout[done.stdout.index("{"):])
    except ValueError:
        print(done.stdout, done.stderr, file=sys.stderr)
        report = {"findings": [], "tried": [], "failed": True}
    if keep:
        print(folder, file=sys.stderr)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return report, took


def main():
    global BUILT
    args = argparse.ArgumentParser()
    args.add_argument("--fissure", default=os.environ.get("FISSURE_BIN", os.path.join(HERE, "..", "target", "release", "fissure")))
    args.add_argument("--only", default="")
    args.add_argument("--planted", type=int, default=1, help="how often each planted kind is tried")
    args.add_argument("--clean", type=int, default=10)
    args.add_argument("--budget", default="120s")
    args.add_argument("--seed", type=int, default=1)
    args.add_argument("--keep", action="store_true")
    args = args.parse_args()
    BUILT = tempfile.mkdtemp(prefix="isolation-built-")
    atexit.register(shutil.rmtree, BUILT, ignore_errors=True)
    os.mkdir(os.path.join(BUILT, "java"))
    have = [name for name, tool in (("python", "python3"), ("node", "node"), ("java", "javac")) if shutil.which(tool)]
    if "java" in have:
        subprocess.run(["javac", "-d", os.path.join(BUILT, "java"), os.path.join(HERE, "isolation", "App.java")], check=True)
    kinds = [k for k in KINDS if KINDS[k][0] in have and (not args.only or k in args.only.split(","))]
    fissure = os.path.abspath(args.fissure)

    found = classed = placed = short = tried = 0
    print("| planted | language | found by | as | first request | steps | s |\n|---|---|---|---|---|---|---|")
    for turn in range(args.planted):
        for kind in kinds:
            language, _, classes, first = KINDS[kind]
            report, took = run(fissure, language, kind, [kind], args.seed + turn, args.budget, args.keep)
            findings = [f for f in report["findings"] if f.get("journey", "") != "always.hurl"]
            ways = sorted({f["topology"] for f in findings})
            states = sorted({f["state"] for f in findings})
            tried += 1
            found += bool(findings)
            is_class = any(s in classes for s in states)
            routes = [f["route"] for f in findings if f["route"]]
            is_first = first is None or first in routes
            steps = min((len(f["steps"]) for f in findings if f["steps"]), default=0)
            classed += bool(findings) and is_class
            placed += bool(findings) and is_first
            short += bool(findings) and steps <= 5
            print(
                f"| {kind} | {language} | {', '.join(ways) or '**missed**'} | {', '.join(states)}{'' if is_class or not findings else ' (wrong)'} "
                f"| {', '.join(sorted(set(routes)))}{'' if is_first or not findings else ' (wrong)'} | {steps or ''} | {took:.0f} |",
                flush=True,
            )
            if not findings:
                print("   ", [(t["topology"], t["answer"], t["why_unknown"]) for t in report["tried"]], file=sys.stderr, flush=True)
    print(f"\n{found} of {tried} found, class right in {classed}, first request in {placed}, at most five requests in {short}.", flush=True)

    alarms, unknown, shares = [], 0, []
    chance = random.Random(args.seed)
    for turn in range(args.clean):
        language = have[turn % len(have)]
        own = [k for k in KINDS if KINDS[k][0] == language]
        chosen = chance.sample(own, 4)
        report, took = run(fissure, language, "", chosen, args.seed + turn, args.budget, args.keep)
        for f in report["findings"]:
            alarms.append((language, f["topology"], f["sentence"]))
            print("FALSE ALARM", alarms[-1], flush=True)
        answers = [t["answer"] for t in report["tried"]]
        unknown += "unknown" in answers or not answers
        if "unknown" in answers:
            print("unknown:", [t["why_unknown"] for t in report["tried"]], flush=True)
        shares += [t["noise_share"] for t in report["tried"] if t["answers"]]
        print(f"clean {turn + 1}: {language} {chosen} {answers} {took:.0f} s", file=sys.stderr, flush=True)
    if args.clean:
        ignored = sorted(shares)[len(shares) // 2] if shares else 0
        print(f"{args.clean} clean runs: {len(alarms)} false alarms, {unknown} could not tell, {ignored:.0%} of values ignored (median).")
    shutil.rmtree(BUILT, ignore_errors=True)


if __name__ == "__main__":
    main()
