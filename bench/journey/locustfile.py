"""What BENCH names: `flat`, `journey` (as in journey.hurl), `arrivals` (the stall test) or `think` (memory)."""
import os
import random
import re

import gevent
from locust import constant, constant_throughput, task
from locust.contrib.fasthttp import FastHttpUser

BENCH = os.environ["BENCH"]
PER_USER = os.environ.get("CONNECTIONS") == "per user"
CSRF = re.compile(r'name="csrf" value="([0-9a-f]+)"')


class User(FastHttpUser):
    if BENCH == "arrivals":
        wait_time = constant_throughput(50)
    elif BENCH == "think":
        wait_time = constant(1)

    def on_start(self):
        if BENCH == "think":
            gevent.sleep(random.random())

    @task
    def play(self):
        if BENCH == "journey":
            self.journey()
        else:
            self.client.get("/")

    def journey(self):
        client = self.client
        client.cookiejar.clear()
        if PER_USER:
            client.client.clientpool.close()
        csrf = CSRF.search(client.get("/login").text)[1]
        form = {"user": "ada", "password": "lovelace", "csrf": csrf}
        client.post("/login", data=form, headers={"X-CSRF-Token": csrf})
        product = client.get("/products").json()["products"][0]["id"]
        size = client.get(f"/products/{product}", name="product").json()["sizes"][0]["id"]
        order = client.post("/orders", json={"product": product, "size": size}).json()["id"]
        client.get(f"/orders/{order}", name="order")
