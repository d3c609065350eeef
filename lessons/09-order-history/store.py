"""The store: speaks as much of the Redis protocol as the history needs, and reads from one slow disk."""
import asyncio
import json

A_READ_S = 0.012
disk = asyncio.Lock()


def orders_of(customer):
    number = int(customer.split(":")[1])
    count = 60 + number % 40
    return [
        json.dumps({"order": number * 1000 + n, "article": (number * 31 + n * 17) % 240, "cents": 500 + (n * 7919) % 9000})
        for n in range(count)
    ]


def bulk(text):
    data = text.encode()
    return b"$%d\r\n%s\r\n" % (len(data), data)


async def read_command(reader):
    line = await reader.readline()
    if not line:
        return None
    words = []
    for _ in range(int(line[1:])):
        length = int((await reader.readline())[1:])
        words.append((await reader.readexactly(length + 2))[:-2].decode())
    return words


async def serve(reader, writer):
    while words := await read_command(reader):
        if words[0].upper() == "LRANGE":
            async with disk:
                await asyncio.sleep(A_READ_S)
            found = orders_of(words[1])
            writer.write(b"*%d\r\n%s" % (len(found), b"".join(bulk(order) for order in found)))
        elif words[0].upper() == "PING":
            writer.write(b"+PONG\r\n")
        else:
            writer.write(b"-ERR unknown command\r\n")
        await writer.drain()
    writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 7409)
    await server.serve_forever()


asyncio.run(main())
