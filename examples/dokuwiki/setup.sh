#!/bin/sh
# Makes the folder of a small wiki from Debian's dokuwiki package: setup.sh FOLDER
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ -d /usr/share/dokuwiki ] || { echo "first: apt-get install --no-install-recommends php-cli php-xml dokuwiki" >&2; exit 1; }
mkdir -p "$1" && cd "$1"

rm -rf www conf data sessions
mkdir sessions
cp -rL /usr/share/dokuwiki www
cp -rL /etc/dokuwiki conf
cp -rL /var/lib/dokuwiki/data data
cp -r "$here/fissure.toml" "$here/journeys" .

# Debian keeps configuration and data apart; here everything lies in one folder.
cat >www/inc/preload.php <<'PHP'
<?php
define('DOKU_CONF', dirname(__DIR__, 2) . '/conf/');
define('DOKU_MAIN_CONF', DOKU_CONF);
PHP
cat >conf/local.php <<'PHP'
<?php
$conf['title']       = 'Wiki';
$conf['savedir']     = dirname(DOKU_CONF) . '/data';
$conf['useacl']      = 1;
$conf['superuser']   = '@admin';
$conf['cookiedir']   = '/';
$conf['updatecheck'] = 0;
$conf['userewrite']  = 2; // addresses like /doku.php/town:street7
PHP
printf '*\t@ALL\t1\n*\t@user\t8\n' >conf/acl.auth.php
: >conf/users.auth.php
for user in ada ben cleo dan; do
    hash=$(php -r 'echo password_hash("secret-1", PASSWORD_BCRYPT);')
    echo "$user:$hash:$user:$user@example.org:user" >>conf/users.auth.php
done
# Thirty pages, so that the wiki is not empty.
mkdir -p data/pages/town
for n in $(seq 30); do
    {
        echo "====== Street $n ======"
        for house in $(seq 12); do
            echo "  * **House $house** of street $n, see [[town:street$house]] and //its garden//."
        done
        echo
        echo "^ House ^ Built ^"
        for house in $(seq 12); do echo "| $house | $((1900 + house)) |"; done
    } >"data/pages/town/street$n.txt"
done
printf '====== Town ======\n\nEvery [[town:street1|street]] has a page.\n' >data/pages/start.txt
# It complains that a command line has no host name.
php -d display_errors=0 -d log_errors=0 www/bin/indexer.php -q
echo "dokuwiki is ready in $PWD"
