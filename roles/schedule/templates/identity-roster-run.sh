#!/bin/sh
# Managed by identity.roster.schedule: changes will be lost
#
# identity-roster-run [--cron] NAME [OPTION OF ansible-playbook]...
#
# One run of the schedule NAME: never beside another one, with its credentials, for a limited time. The timer, cron and
# people start runs by this alike. The status is that of ansible-playbook; 124 or 137: it took too long; 75: others were at work.
# shellcheck disable=SC1090,SC2154 # What is not set here is in the file that is read.
set -eu
umask 077

etc=/etc/identity-roster-schedule
lock=/var/lib/identity-roster-schedule/lock
log=/var/log/identity-roster

say() {
    echo "identity-roster-run: $*"
}

fail() {
    status=$1
    shift
    say "$*" >&2
    exit "$status"
}

# Of what it sets the arguments are dropped, as they are a function's.
read_settings() {
    . "$etc/$name.conf"
}

cron=
if [ "${1-}" = --cron ]; then
    cron=--cron
    shift
fi
name=${1-}
case $name in
'' | *[!a-z0-9-]*) fail 64 "usage: identity-roster-run NAME [OPTION OF ansible-playbook]..." ;;
esac
shift

# Secrets go from files that only root reads (by LoadCredential= from systemd) into the environment, never into arguments.
if [ -z "${IDENTITY_ROSTER_RUN_AS-}" ]; then
    [ "$(id -u)" = 0 ] || [ -r "$etc/$name.conf" ] || fail 77 "only root may start a run"
    [ -r "$etc/$name.conf" ] || fail 64 "there is no schedule $name; look into $etc"
    read_settings
    credentials=${CREDENTIALS_DIRECTORY:-$etc}/$name.credentials
    if [ -n "${CREDENTIALS_DIRECTORY-}" ] || [ -e "$credentials" ]; then
        [ -r "$credentials" ] || fail 77 "$credentials can't be read: start the run as root"
        set -a
        . "$credentials"
        set +a
    fi
    if [ "$(id -u)" = 0 ] && [ "$(id -u "$user")" != 0 ]; then
        export IDENTITY_ROSTER_RUN_AS="$user"
        exec setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups --no-new-privs -- "$0" $cron "$name" "$@"
    fi
fi

# Sets user, home, ansible_playbook, limit, delay and wait, and puts the schedule's own arguments before those given.
. "$etc/$name.conf"
export HOME="$home" USER="$user" LOGNAME="$user" LC_ALL=C.UTF-8
export PATH="${ansible_playbook%/*}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
export ANSIBLE_CONFIG="$etc/ansible.cfg" PYTHONUNBUFFERED=1

# The same moment on one control node, another one on the next.
if [ -n "$cron" ]; then
    sleep $(($(echo "$(uname -n) $name" | cksum | cut -d ' ' -f 1) % (delay + 1)))
fi

# The run and all that it starts hold the lock: it is free when the last of them has ended, however that came.
exec 9>>"$lock"
if ! flock -n 9; then
    other="another run is at work: $(cat "$lock")"
    [ -n "$cron" ] || say "$other. Waiting up to $wait s for it"
    if [ "$wait" = 0 ] || ! timeout "$wait" flock 9; then
        fail 75 "nothing was started, after $wait s: $other"
    fi
fi
echo "$name, process $$, since $(date -u +%Y-%m-%dT%H:%M:%SZ)" >"$lock"

# Cron mails what is printed: only what a failed run said.
if [ -n "$cron" ]; then
    exec 3>&1 >"$log/$name.log" 2>&1
fi
# At a terminal the run stays with it, for its keys and questions.
foreground=
if [ -t 0 ]; then
    foreground=--foreground
fi
say "$name begins $(date -u +%Y-%m-%dT%H:%M:%SZ)"
status=0
timeout $foreground -k 60 "$limit" "$ansible_playbook" "$@" 3>&- || status=$?
case $status in
0) end="is done" ;;
124) end="was ended after $limit s: it hung, or needs a longer timeout (status 124)" ;;
137) end="was killed: it did not end by itself after $limit s, or the kernel had no memory (status 137)" ;;
*) end="failed with status $status" ;;
esac
say "$name $end, $(date -u +%Y-%m-%dT%H:%M:%SZ)"
if [ -n "$cron" ] && [ "$status" != 0 ]; then
    tail -n 200 "$log/$name.log" >&3
fi
exit "$status"
