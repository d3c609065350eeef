"""The fleet's database: a line with a question, 25 ms later a line with the answer, for as many connections as come."""
import asyncio
import json

ANSWERS_AFTER_S = 0.025
bookings = {}


def answer(question):
    if question["ask"] == "car":
        number = int(question["car"])
        return {"car": number, "seats": 2 + number % 6, "free": str(number) not in bookings}
    if question["ask"] == "book":
        bookings[question["car"]] = question["who"]
        return {"car": int(question["car"]), "booked": True}
    return {"error": "no such question"}


async def serve(reader, writer):
    while line := await reader.readline():
        await asyncio.sleep(ANSWERS_AFTER_S)
        writer.write(json.dumps(answer(json.loads(line))).encode() + b"\n")
        await writer.drain()
    writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 7407)
    await server.serve_forever()


asyncio.run(main())
