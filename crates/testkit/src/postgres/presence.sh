# Lives as long as some process holds the FIFO $1 open for writing, and $2 seconds longer: the next test may be on its
# way. Standard output is the lifeline of a private Postgres, which ends with this script.
fifo=$1
linger=$2
exec 3<"$fifo"
while :; do
    cat <&3 >/dev/null
    sleep "$linger"
    # Nobody comes in by this name any more. Whoever did so just before is found by the second look.
    mv "$fifo" "$fifo.closing"
    rm -f "$fifo.empty"
    (
        cat <&3 >/dev/null
        : >"$fifo.empty"
    ) &
    sleep 1
    [ ! -e "$fifo.empty" ] || break
    mv "$fifo.closing" "$fifo"
done
rm -f "$fifo.closing"
