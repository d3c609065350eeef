"""The records of the town: who was born, married and buried, and in which year."""
import random

FIRST = "Anna Berta Carl David Emma Franz Greta Hans Ida Jakob Klara Ludwig Maria Nils Olga Paul".split()
MIDDLE = "A. B. F. J. M. W.".split()
LAST = "Ackermann Becker Dietrich Engel Fischer Gruber Huber Keller Lehmann Meier Neumann Richter Schmid Vogel Weber Ziegler".split()


def records(count):
    chance = random.Random(14)
    return [
        {
            "id": n,
            "name": f"{chance.choice(FIRST)} {chance.choice(MIDDLE)} {chance.choice(LAST)}",
            "year": 1700 + chance.randrange(220),
            "kind": chance.choice(["birth", "wedding", "burial"]),
        }
        for n in range(count)
    ]
