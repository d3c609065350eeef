"""Drivers of PostgreSQL, unchanged, directly and through fissure's proxy: the same results, and every statement noted.

    cargo build --example postgres_proxy -p fissure-rig
    pip install 'psycopg[binary]' asyncpg; npm install pg
    python3 bench/postgres/drivers.py postgres://user:password@127.0.0.1:5432/postgres

The database must take passwords (SCRAM); with `ssl = on` TLS is tried, too. Only a table `fissure_drivers` is made, and dropped.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit

import asyncpg
import psycopg

HERE = os.path.dirname(os.path.abspath(__file__))
PROXY = os.environ.get("PROXY", os.path.join(HERE, "..", "..", "target", "debug", "examples", "postgres_proxy"))
TLS = {"disable": False, "prefer": None, "require": True}


def psycopg_tour(url, mode):
    """Simple and extended queries, prepared statements, COPY both ways, LISTEN, cancel, pipeline, a failed transaction."""
    seen = []
    with psycopg.connect(url, sslmode=mode, autocommit=True) as db:
        seen.append(bool(db.pgconn.ssl_in_use))
        db.execute("DROP TABLE IF EXISTS fissure_drivers")
        db.execute("CREATE TABLE fissure_drivers (id int PRIMARY KEY, name text)")
        for n in range(10):
            db.execute("INSERT INTO fissure_drivers VALUES (%s, %s)", (n, f"n{n}"), prepare=True)
        with db.cursor().copy("COPY fissure_drivers FROM STDIN") as copy:
            for n in range(100, 5100):
                copy.write_row((n, "x" * 100))
        with db.cursor().copy("COPY fissure_drivers TO STDOUT") as copy:
            seen.append(sum(len(part) for part in copy))
        with db.pipeline():
            got = [db.execute("SELECT name FROM fissure_drivers WHERE id = %s", (n,)) for n in range(10)]
            seen.append([c.fetchone()[0] for c in got])
        try:
            with db.transaction():
                db.execute("INSERT INTO fissure_drivers VALUES (1, 'twice')")
        except psycopg.errors.UniqueViolation as e:
            seen.append(e.sqlstate)
        db.execute("LISTEN told")
        with psycopg.connect(url, sslmode=mode, autocommit=True) as other:
            other.execute("NOTIFY told, 'you'")
        seen.append([n.payload for n in db.notifies(timeout=2, stop_after=1)])
        timer = threading.Timer(0.3, db.cancel)
        timer.start()
        began = time.time()
        try:
            db.execute("SELECT pg_sleep(20)")
        except psycopg.errors.QueryCanceled as e:
            seen.append((e.sqlstate, time.time() - began < 10))
        with db.cursor(binary=True) as cursor:
            seen.append(cursor.execute("SELECT repeat('y', 3000000), 1::int8").fetchone()[0][-3:])
        db.execute("DROP TABLE fissure_drivers")
    return seen


def asyncpg_tour(url, mode):
    async def tour():
        seen = []
        db = await asyncpg.connect(url, ssl=mode)
        await db.execute("DROP TABLE IF EXISTS fissure_drivers")
        await db.execute("CREATE TABLE fissure_drivers (id int PRIMARY KEY, name text)")
        await db.executemany("INSERT INTO fissure_drivers VALUES ($1, $2)", [(n, str(n)) for n in range(100)])
        await db.copy_records_to_table("fissure_drivers", records=[(n, "c") for n in range(200, 300)])
        async with db.transaction():
            seen += [row["id"] async for row in db.cursor("SELECT id FROM fissure_drivers ORDER BY id", prefetch=7)][:3]
        prepared = await db.prepare("SELECT count(*) FROM fissure_drivers WHERE id > $1")
        seen.append(await prepared.fetchval(50))
        told = asyncio.get_running_loop().create_future()
        await db.add_listener("told", lambda *a: told.done() or told.set_result(a[3]))
        await db.execute("NOTIFY told, 'me'")
        seen.append(await asyncio.wait_for(told, 5))
        try:
            await db.fetch("SELECT pg_sleep(20)", timeout=0.3)
        except asyncio.TimeoutError:
            seen.append("cancelled")
        seen.append(await db.fetchval("SELECT 7"))
        await db.execute("DROP TABLE fissure_drivers")
        await db.close()
        return seen

    return asyncio.run(tour())


NODE = """
const { Client } = require('pg');
(async () => {
  const [url, mode] = process.argv.slice(1);
  const db = new Client({ connectionString: url, ssl: mode === 'require' ? { rejectUnauthorized: false } : false });
  await db.connect();
  const seen = [];
  await db.query('DROP TABLE IF EXISTS fissure_drivers');
  await db.query('CREATE TABLE fissure_drivers (id int PRIMARY KEY, name text)');
  for (let n = 0; n < 10; n += 1) await db.query({ name: 'add', text: 'INSERT INTO fissure_drivers VALUES ($1, $2)', values: [n, 'n' + n] });
  seen.push((await db.query('SELECT 1 AS a; SELECT 2 AS b')).map((r) => r.rows[0]));
  seen.push((await Promise.all([1, 2, 3].map((n) => db.query('SELECT name FROM fissure_drivers WHERE id = $1', [n])))).map((r) => r.rows[0].name));
  const told = new Promise((done) => db.on('notification', (m) => done(m.payload)));
  await db.query('LISTEN told'); await db.query("NOTIFY told, 'node'");
  seen.push(await told);
  try { await db.query('SELEKT'); } catch (e) { seen.push(e.code); }
  await db.query('DROP TABLE fissure_drivers');
  await db.end();
  console.log(JSON.stringify(seen));
})();
"""


def node_tour(url, mode):
    done = subprocess.run(["node", "-e", NODE, url, mode], capture_output=True, text=True, timeout=60, check=False)
    if not done.stdout:
        sys.exit(f"node_tour did not run: {done.stderr}")
    return json.loads(done.stdout)


def main():
    url = sys.argv[1]
    parts = urlsplit(url)
    proxy = subprocess.Popen([PROXY, f"{parts.hostname}:{parts.port}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    port = int(proxy.stdout.readline())
    notes = []
    threading.Thread(target=lambda: [notes.append(line) for line in proxy.stdout], daemon=True).start()
    through = url.replace(f":{parts.port}", f":{port}")
    wrong = 0
    with psycopg.connect(url) as db:
        has_tls = db.execute("SHOW ssl").fetchone()[0] == "on"
    for tour, modes in ((psycopg_tour, ("disable", "prefer", "require")), (asyncpg_tour, ("disable", "prefer", "require")), (node_tour, ("disable", "require"))):
        for mode in modes:
            if mode == "require" and not has_tls:
                print(f"{tour.__name__:14} {mode:8} skipped: the server has no TLS (ssl = off)")
                continue
            direct = tour(url, mode)
            notes.clear()
            by_proxy = tour(through, mode)
            time.sleep(0.3)
            same = direct == by_proxy
            wrong += not same
            inserts = sum("INSERT INTO fissure_drivers" in n for n in notes)
            encrypted = any("Encrypted" in n for n in notes)
            print(f"{tour.__name__:14} {mode:8} {'the same' if same else f'DIFFERS: {direct} {by_proxy}'}; noted: {len(notes)}, inserts: {inserts}{', encrypted' if encrypted else ''}")
    with open(f"/proc/{proxy.pid}/status") as status:
        print([line.strip() for line in status if line.startswith("VmHWM")][0])
    proxy.stdin.close()
    proxy.wait()
    sys.exit(wrong > 0)


main()
