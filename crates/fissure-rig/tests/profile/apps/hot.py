# Of what Python itself does, three quarters in one function; beside it a hash, and a thread that sleeps.
import hashlib
import threading
import time


def total(numbers):
    found = 0
    for number in numbers:
        found += number * number % 7  # HOT
    return found


def rest(numbers):
    found = 0
    for number in numbers:
        found += number * number % 7  # REST
    return found


def fingerprint():
    return hashlib.pbkdf2_hmac("sha256", b"a", b"b", 40_000)  # HASH


def sleeper():
    while True:
        time.sleep(0.2)  # WAITS


threading.Thread(target=sleeper, daemon=True).start()
print("ready", flush=True)
numbers = list(range(300_000))
while True:
    total(numbers)
    rest(numbers[:100_000])
    fingerprint()
