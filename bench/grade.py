"""What fissure said of a lesson against what is true of it, and what two simple rules would have said from the same run. Pure: no clock, no process."""
import base64
import json
import math
import re
import struct
import zlib

UNDECIDED = "NotEnoughEvidence"
TOP = 3
ASPECTS = ["verdict", "resource", "route", "function", "line"]
BASELINES = ["slowest", "busiest"]


def grade(truth, report):
    """Right, wrong, or None where the truth says nothing about it."""
    said = report["verdict"]["kind"]
    routes = report["limit"]["routes"]
    places = report["limit"]["place"]
    nothing_to_find = "HoldingUp" in truth["verdict"]
    wanted = truth.get("lines") or []
    overpromised = truth.get("must_not_promise") and report["verdict"]["goal_met"] is True
    right = {
        "verdict": said in truth["verdict"] and not overpromised,
        "resource": None if nothing_to_find else report["limit"]["resource"] in truth["resource"],
        "route": None if nothing_to_find else one_of(routes[:1], truth["routes"]),
        "function": None if nothing_to_find or not wanted else any(same_place(p, w) for p in places[:TOP] for w in wanted),
        "line": None if nothing_to_find or not wanted else any(same_line(p, w) for p in places[:TOP] for w in wanted),
    }
    return {
        "said": said,
        "best": said == truth.get("best", truth["verdict"][0]),
        "wrong_and_confident": said != UNDECIDED and not right["verdict"],
        "resource_said": report["limit"]["resource"],
        "route_said": routes[0] if routes else None,
        "places_said": [f"{p['function']} ({p['file']}:{p['line']})" for p in places[:TOP]],
        "right": right,
    }


def same_place(place, wanted):
    # Profilers put the type or module before the name.
    name = re.split(r"::|[.#]", place["function"])[-1]
    return name == wanted["function"] and place["file"].endswith(wanted["file"])


def same_line(place, wanted):
    lines = {wanted["line"], *wanted.get("also", [])}
    return same_place(place, wanted) and place["line"] in lines


def one_of(said, wanted):
    return any(shape(a) == shape(b) for a in said for b in wanted)


def shape(route):
    return re.sub(r"\{[^}]*\}", "{}", route)


def baselines(truth, report, journal):
    """The route that a list sorted by mean latency, and one sorted by CPU, would blame."""
    if "HoldingUp" in truth["verdict"]:
        return {}
    slow = mean_latencies(journal)
    busy = {demand["route"]: demand["share"] for demand in report["demands"]}
    return {
        name: one_of([max(by_route, key=by_route.get)], truth["routes"]) if by_route else False
        for name, by_route in zip(BASELINES, [slow, busy])
    }


def mean_latencies(journal):
    """By route, over all windows in which the whole app was under the journeys' mix and nobody looked into it."""
    wanted, sums = set(), {}
    for line in journal.splitlines()[1:]:
        try:
            fact = json.loads(line)
        except json.JSONDecodeError:
            continue  # the last line of an interrupted run
        step = fact.get("step") or {}
        if fact.get("fact") == "step_began" and step.get("purpose") in ("saturate", "capacity") and step["arrangement"]["name"] == "whole":
            wanted.add(step["window"])
        if fact.get("fact") == "second_passed" and fact["window"] in wanted:
            for route, second in fact["routes"].items():
                for value_us, count in histogram(second["latency"]):
                    total, seen = sums.get(route, (0, 0))
                    sums[route] = (total + value_us * count, seen + count)
    return {route: total / seen for route, (total, seen) in sums.items() if seen}


def histogram(text):
    """The standard compressed encoding of HdrHistogram, version 2, with three digits and unit 1."""
    if not text:
        return
    data = base64.b64decode(text)
    inner = zlib.decompress(data[8:])
    length = struct.unpack(">I", inner[4:8])[0]
    payload, at, index = inner[40:40 + length], 0, 0
    while at < len(payload):
        zigzag = shift = 0
        while True:
            byte = payload[at]
            at += 1
            zigzag |= (byte if shift == 56 else byte & 127) << shift
            shift += 7
            if byte < 128 or shift > 56:
                break
        count = (zigzag >> 1) ^ -(zigzag & 1)
        if count < 0:
            index -= count
            continue
        if count:
            bucket, within = (index >> 10) - 1, (index & 1023) + 1024
            yield (within << bucket if bucket >= 0 else within - 1024), count
        index += 1


def wilson(right, of, z=1.96):
    """Wilson, Probable inference, JASA 22 (1927): the interval of a share that holds for few trials, too."""
    if not of:
        return 0.0, 1.0
    share = right / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def summary(rows):
    """Shares with their intervals. A lesson that was played three times counts three times."""
    found = {}
    for aspect in ASPECTS:
        found[aspect] = share([row["right"][aspect] for row in rows if row["right"][aspect] is not None])
    found["best verdict"] = share([row["best"] for row in rows])
    found["wrong and confident"] = share([row["wrong_and_confident"] for row in rows])
    for name in BASELINES:
        found[f"route by the {name}"] = share([row["baselines"][name] for row in rows if name in row["baselines"]])
    return found


def share(answers):
    low, high = wilson(sum(answers), len(answers))
    return {"right": sum(answers), "of": len(answers), "share": sum(answers) / len(answers) if answers else None, "low": low, "high": high}
