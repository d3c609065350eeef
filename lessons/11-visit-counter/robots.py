"""Makes robots.txt: patterns by which machines are told from people."""
import random

chance = random.Random(11)
SYLLABLES = "bot crawl spider fetch scan index probe search agent link ping rank seo feed site web".split()
with open("robots.txt", "w") as out:
    for n in range(3000):
        a, b = chance.sample(SYLLABLES, 2)
        out.write(f"*{a}*{b}{n}*/{n % 9}.*\n")
