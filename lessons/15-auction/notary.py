"""The notary, as the auction sees him: he stamps every bid, which takes 20 ms, for as many as ask."""
import asyncio

STAMPS_AFTER_S = 0.02


async def serve(reader, writer):
    while bid := await reader.readline():
        await asyncio.sleep(STAMPS_AFTER_S)
        writer.write(b"stamped %d\n" % (sum(bid) % 9973))
        await writer.drain()
    writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 7415)
    await server.serve_forever()


asyncio.run(main())
