#!/bin/sh
# Makes the folder of a small Redmine from Debian's package: setup.sh FOLDER
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ -d /usr/share/redmine ] || { echo "first: apt-get install --no-install-recommends redmine redmine-sqlite puma" >&2; exit 1; }
mkdir -p "$1" && cd "$1"

rm -rf www db.sqlite3
mkdir www
# Debian keeps data and settings of each instance elsewhere; here everything lies in one folder.
for part in /usr/share/redmine/*; do
    [ "${part##*/}" = instances ] || cp -rL "$part" www/ 2>/dev/null || true
done
instance=www/instances/default
mkdir -p $instance/config $instance/log $instance/tmp/pids $instance/files www/tmp/pids www/log
cp /usr/share/redmine/Gemfile* www/ 2>/dev/null || true
cp -L /usr/share/redmine/instances/Gemfile.lock www/instances/ 2>/dev/null || true
cp "$here/fissure.toml" .
if [ -d "$here/journeys" ]; then cp -r "$here/journeys" .; fi

cat >$instance/config/database.yml <<'YML'
production:
  adapter: sqlite3
  database: <%= File.expand_path("../db.sqlite3", Rails.root) %>
  timeout: 20000
YML
echo "only for a test on one's own machine, and long enough for Rails, which asks for many letters" >$instance/config/secret_key.txt
cd www
export RAILS_ENV=production REDMINE_LANG=en LANG=C.UTF-8
unset X_DEBIAN_SITEID
ruby bin/rails db:migrate >/dev/null
ruby bin/rails redmine:load_default_data >/dev/null
# People may register themselves, and two public projects are there.
ruby bin/rails runner '
  Setting.self_registration = "3"
  %w[street town].each do |name|
    project = Project.create!(name: name.capitalize, identifier: name, is_public: true)
    project.trackers = Tracker.all
    5.times { |n| Issue.create!(project: project, tracker: Tracker.first, author: User.where(admin: true).first, priority: IssuePriority.first, status: IssueStatus.first, subject: "Lamp #{n} is broken") }
  end
  Role.non_member.add_permission!(:add_issues, :edit_own_issues, :edit_issues, :add_issue_notes)
'
echo "redmine is ready in $(dirname "$PWD")"
