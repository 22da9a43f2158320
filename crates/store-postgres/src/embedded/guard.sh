# Runs Postgres for as long as somebody holds the other end of standard input, however that somebody ends.
#
# $1 is a file that exists once Postgres has been ready: before that a failure is final, after it Postgres is started
# again. The rest is the command line of Postgres.
marker=$1
shift
exec 3<&0 </dev/null

stopping=
postgres=
trap 'stopping=1; [ -z "$postgres" ] || kill -INT "$postgres" 2>/dev/null' TERM
(while read -r _ <&3; do :; done; kill -TERM "$$") &
watcher=$!

failures=0
while [ -z "$stopping" ]; do
    "$@" 3<&- &
    postgres=$!
    [ -z "$stopping" ] || kill -INT "$postgres"
    wait "$postgres"
    status=$?
    # A signal ends `wait` early.
    while kill -0 "$postgres" 2>/dev/null; do
        wait "$postgres"
        status=$?
    done
    [ -e "$marker" ] || break
    # Orphaned backends of a killed postmaster hold its shared memory for a moment longer.
    failures=$((failures + 1))
    [ "$failures" -lt 100 ] || break
    [ -n "$stopping" ] || sleep 0.2
done
kill "$watcher" 2>/dev/null
exit "$status"
