"""The rental desk: which car has how many seats, and may I have it?"""
from pool import SIZE, Pool, ask
from web import Refused, route, serve

PRICES = {2: 39, 3: 42, 4: 48, 5: 55, 6: 70, 7: 85}
fleet = Pool(SIZE)


def price(seats, days):
    a_day = PRICES.get(seats, 99)
    return a_day * days if days < 7 else round(a_day * days * 0.85)


@route("GET", "/health")
def health(_request):
    return {"open": True}


@route("GET", "/prices")
def prices(request):
    days = int(request.query.get("days", "1"))
    return {seats: price(seats, days) for seats in PRICES}


@route("GET", "/cars/{car}")
def car(_request, car):
    if not car.isdigit():
        raise Refused(404, "no such car")
    found = ask(fleet, ask="car", car=car)
    return {**found, "a_day": price(found["seats"], 1)}


@route("POST", "/bookings")
def book(request):
    car, who = request.form.get("car", ""), request.form.get("who", "")
    if not car.isdigit() or not who:
        raise Refused(422, "which car, and for whom?")
    return ask(fleet, ask="book", car=car, who=who)


serve()
