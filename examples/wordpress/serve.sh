#!/bin/sh
# MariaDB and WordPress in this folder, so that a copy of the folder is a copy of both. The socket lies in the folder's database;
# a path of a socket has at most 107 bytes, so both are named from here.
set -eu
cd "$(dirname "$0")"
mariadbd --no-defaults --user="$(id -un)" --datadir="$PWD/db" --socket=mysql.sock --pid-file=mysql.pid --skip-networking \
    --innodb-buffer-pool-size=64M --innodb-log-file-size=16M --innodb-use-native-aio=0 >db.log 2>&1 &
until [ -S db/mysql.sock ]; do
    kill -0 $! 2>/dev/null || { cat db.log >&2; exit 1; }
    sleep 0.1
done
exec php -S "127.0.0.1:$PORT" -t www -d "mysqli.default_socket=$PWD/db/mysql.sock" -d opcache.enable_cli=1 -d display_errors=0
