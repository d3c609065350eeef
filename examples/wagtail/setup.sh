#!/bin/sh
# Makes the folder of a small Wagtail site: setup.sh FOLDER
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1" && cd "$1"

[ -x venv/bin/python ] || python3 -m venv venv
venv/bin/pip install --quiet wagtail==8.0.1 gunicorn==27.0.1 whitenoise==6.12.0

if [ ! -f manage.py ]; then venv/bin/wagtail start mysite . >/dev/null; fi
cp -r "$here/fissure.toml" "$here/journeys" "$here/seed.py" .
cat >mysite/settings/local.py <<'PY'
from .base import INSTALLED_APPS, MIDDLEWARE

SECRET_KEY = "only for a test on one's own machine"
ALLOWED_HOSTS = ["127.0.0.1"]
WAGTAILADMIN_BASE_URL = "http://127.0.0.1"
WAGTAIL_ENABLE_UPDATE_CHECK = False
# Django is silent about errors in production unless it is told where to write them.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "ERROR"},
}
# gunicorn serves no static files by itself.
MIDDLEWARE.insert(1, "whitenoise.middleware.WhiteNoiseMiddleware")
PY
export DJANGO_SETTINGS_MODULE=mysite.settings.production
rm -f db.sqlite3
venv/bin/python manage.py migrate --no-input --verbosity 0
venv/bin/python manage.py collectstatic --no-input --clear --verbosity 0
venv/bin/python manage.py shell --no-imports <seed.py
echo "wagtail is ready in $PWD"
