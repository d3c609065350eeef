#!/bin/sh
# Makes the folder of a small registry: setup.sh FOLDER
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1" && cd "$1"

[ -f package.json ] || npm init --yes >/dev/null
npm pkg set overrides.node-fetch=2.7.0
npm install --no-audit --no-fund --silent verdaccio@5.33.0

cp -r "$here/config.yaml" "$here/fissure.toml" "$here/journeys" .
rm -rf storage htpasswd

# Twenty packages, so that the registry is not empty.
PORT=${PORT:-4879}
node node_modules/verdaccio/bin/verdaccio --config config.yaml --listen "127.0.0.1:$PORT" >setup.log 2>&1 &
registry=$!
trap 'kill $registry' EXIT
base="http://127.0.0.1:$PORT"
tries=0
until curl --silent --fail --output /dev/null "$base/-/ping"; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || { cat setup.log; exit 1; }
    sleep 0.2
done
json() { curl --silent --show-error --fail --request PUT --header 'Content-Type: application/json' "$@"; }
token=$(json "$base/-/user/org.couchdb.user:seed" --data '{"name":"seed","password":"secret-1"}' |
    sed -n 's/.*"token": "\(.*\)".*/\1/p')
for n in $(seq 20); do
    sed "s/PACKAGE/left-pad-$n/g; s|BASE|$base|" "$here/package.json.template" |
        json "$base/left-pad-$n" --header "Authorization: Bearer $token" --data @- --output /dev/null
done
echo "verdaccio is ready in $PWD"
