#!/bin/sh
# Makes the folder of a small WordPress from Debian's packages: setup.sh FOLDER
set -eu
here=$(cd "$(dirname "$0")" && pwd)
for part in /usr/share/wordpress /var/lib/wordpress/wp-content/themes/twentytwentyone /usr/sbin/mariadbd; do
    [ -e "$part" ] || {
        echo "first: apt-get install --no-install-recommends wordpress wordpress-theme-twentytwentyone php-cli php-mysql mariadb-server" >&2
        exit 1
    }
done
mkdir -p "$1" && cd "$1"

rm -rf www db db.log
cp -rL /usr/share/wordpress www
# Debian keeps what an instance adds elsewhere; here everything lies in one folder.
rm -rf www/wp-content && cp -rL /var/lib/wordpress/wp-content www/wp-content
cp "$here/fissure.toml" "$here/serve.sh" .
if [ -d "$here/journeys" ]; then cp -r "$here/journeys" .; fi

cat >www/wp-config.php <<'PHP'
<?php
define('DB_NAME', 'wordpress');
define('DB_USER', 'root');
define('DB_PASSWORD', '');
define('DB_HOST', 'localhost');
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');
foreach (['AUTH_KEY', 'SECURE_AUTH_KEY', 'LOGGED_IN_KEY', 'NONCE_KEY', 'AUTH_SALT', 'SECURE_AUTH_SALT', 'LOGGED_IN_SALT', 'NONCE_SALT'] as $key) {
    define($key, "only for a test on one's own machine: $key");
}
// Each copy listens on a port of its own.
if (isset($_SERVER['HTTP_HOST'])) {
    define('WP_HOME', 'http://' . $_SERVER['HTTP_HOST']);
    define('WP_SITEURL', 'http://' . $_SERVER['HTTP_HOST']);
}
define('DISABLE_WP_CRON', true);
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('AUTOMATIC_UPDATER_DISABLED', true);
$table_prefix = 'wp_';
if (!defined('ABSPATH')) {
    define('ABSPATH', __DIR__ . '/');
}
require_once ABSPATH . 'wp-settings.php';
PHP

mariadb-install-db --no-defaults --user="$(id -un)" --datadir="$PWD/db" --auth-root-authentication-method=normal \
    --innodb-log-file-size=16M --skip-test-db >db.log
cat >install.php <<'PHP'
<?php
$_SERVER += ['HTTP_HOST' => 'localhost', 'REQUEST_URI' => '/', 'SERVER_PROTOCOL' => 'HTTP/1.1', 'REQUEST_METHOD' => 'GET'];
(new mysqli('localhost', 'root', ''))->query('CREATE DATABASE wordpress CHARACTER SET utf8mb4');
define('WP_INSTALLING', true);
require __DIR__ . '/www/wp-load.php';
require ABSPATH . 'wp-admin/includes/upgrade.php';
wp_install('Town', 'ada', 'ada@example.org', true, '', 'secret-1');
switch_theme('twentytwentyone');
// Sixty people who write: of two who log in under one name at the same instant, WordPress forgets one.
$people = "user,password\n";
foreach (range(1, 60) as $n) {
    wp_insert_user(['user_login' => "writer$n", 'user_pass' => "secret-$n", 'user_email' => "writer$n@example.org", 'role' => 'editor']);
    $people .= "writer$n,secret-$n\n";
}
file_put_contents('users.csv', $people);
// Comments are seen at once.
update_option('comment_previously_approved', '0');
foreach (range(1, 20) as $n) {
    wp_insert_post(['post_title' => "Street $n", 'post_content' => "Street $n has twelve houses.", 'post_status' => 'publish', 'post_author' => 1]);
}
PHP
PORT=${PORT:-4880} ./serve.sh >/dev/null 2>&1 &
server=$!
trap 'kill $server $(cat db/mysql.pid 2>/dev/null) 2>/dev/null; rm -f install.php' EXIT
tries=0
until [ -S db/mysql.sock ]; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || { cat db.log >&2; exit 1; }
    sleep 0.2
done
php -d "mysqli.default_socket=$PWD/db/mysql.sock" install.php >install.log || { cat install.log >&2; exit 1; }
echo "wordpress is ready in $PWD"
