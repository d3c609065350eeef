"""Makes texts.json: as much text as this machine needs some 12 ms to compare, so that the goal means the same everywhere."""
import json
import random
import time

from compare import compare

WANTED_S = 0.012


def page(chance, lines):
    words = "the old mill by the river turns slowly while rain falls on the red roofs of the town".split()
    return [" ".join(chance.choices(words, k=9)) for _ in range(lines)]


def drafts(lines):
    chance = random.Random(13)
    first = page(chance, lines)
    second = [line if chance.random() < 0.7 else line.replace("rain", "snow") + " again" for line in first]
    return first, second


def seconds(lines):
    first, second = drafts(lines)
    least = 1.0
    for _ in range(5):
        began = time.process_time()
        compare(first, second, 40)
        least = min(least, time.process_time() - began)
    return least


def main():
    lines = 20
    while lines < 2000 and seconds(lines) < WANTED_S:
        lines = lines * 11 // 10
    first, second = drafts(lines)
    with open("texts.json", "w") as out:
        json.dump({"first": first, "second": second}, out)


main()
