# What the measurements have in common: release binaries, an installation in a temporary folder, ports of its own.
#
# Needs node, curl and the binaries of Postgres. Set by the caller if it likes: HELIOGRAPH_BIN, HELIOGRAPH_LOAD_BIN, MEASURE_PORT (the first of ten ports).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

server=${HELIOGRAPH_BIN:-target/release/heliograph}
load=${HELIOGRAPH_LOAD_BIN:-target/release/heliograph-load}
port=${MEASURE_PORT:-26000}
# A server takes what is called HELIOGRAPH_… in its environment for its configuration; these are ours.
export -n HELIOGRAPH_BIN HELIOGRAPH_LOAD_BIN

data=$(mktemp -d)
log=$data/server.log
pids=()
postmaster=
cluster=

end() {
  for pid in "${pids[@]}"; do kill -INT "$pid" 2>/dev/null && wait "$pid" || true; done
  [ -z "$cluster" ] || unprivileged "$(pg_config --bindir)/pg_ctl" -D "$cluster" -m fast -w stop >/dev/null
  rm -rf "$data"
}
trap end EXIT

# Waits for the process that was started last, whose health is on this port.
ready() {
  for _ in $(seq 1 600); do
    curl -fs --max-time 2 "http://127.0.0.1:$1/health/ready" >/dev/null && return
    kill -0 "${pids[0]}" 2>/dev/null || { echo 'the server ended early:' >&2; tail -30 "$log" >&2; exit 1; }
    sleep 0.1
  done
  echo 'the server does not get ready:' >&2
  curl -s --max-time 2 "http://127.0.0.1:$1/health/ready" >&2
  tail -30 "$log" >&2
  exit 1
}

# A server with a Postgres of its own: plain HTTP on $port, HTTPS on the next, health on the one after that.
start_dev() {
  RUST_LOG=warn "$server" dev --data-dir "$data" --http-port "$port" --https-port $((port + 1)) --admin-port $((port + 2)) \
    >>"$log" 2>&1 &
  pids=($! "${pids[@]}")
  ready $((port + 2))
  local folder
  folder=$(sed -n 's/^ *Postgres *\([^ ]*\).*/\1/p' "$log")
  postmaster=$(head -1 "$folder/data/postmaster.pid")
}

# Postgres refuses to run as root.
unprivileged() {
  if [ "$(id -u)" -eq 0 ]; then (cd / && runuser -u nobody -- "$@"); else "$@"; fi
}

# A Postgres that belongs to no server, with its port after those of the nodes, and secrets: what nodes need.
start_postgres() {
  local bin
  bin=$(pg_config --bindir)
  chmod 711 "$data"
  mkdir "$data/cluster"
  [ "$(id -u)" -ne 0 ] || chown nobody "$data/cluster"
  unprivileged "$bin/initdb" -D "$data/cluster" -A trust -U heliograph -E UTF8 --locale=C >/dev/null
  unprivileged "$bin/pg_ctl" -D "$data/cluster" -l "$data/cluster/log" -w start \
    -o "-p $((port + 8)) -k $data/cluster -c listen_addresses=127.0.0.1" >/dev/null
  cluster=$data/cluster
  postmaster=$(head -1 "$cluster/postmaster.pid")
  echo "postgres://heliograph@127.0.0.1:$((port + 8))/postgres" >"$data/database.url"
  "$server" keygen "$data/secrets.toml" >/dev/null
  configure 0
  DATABASE_URL=$(cat "$data/database.url") "$server" migrate --config "$data/node0.toml" >/dev/null
}

# Node N, from 1, on that database and with those secrets (or those of `dev`): plain HTTP on $port + 1 + 2 N, health on the next.
start_node() {
  configure "$1"
  DATABASE_URL=$(cat "$data/database.url") RUST_LOG=warn "$server" serve --config "$data/node$1.toml" >>"$log" 2>&1 &
  pids=($! "${pids[@]}")
  ready $((port + 2 + 2 * $1))
}

configure() {
  local at=$((port + 1 + 2 * $1))
  cat >"$data/node$1.toml" <<TOML
server = { http = "127.0.0.1:$at", admin = "127.0.0.1:$((at + 1))" }
secrets = { file = "$data/secrets.toml" }
verification = { fixed_code = "123456", sessions_per_number = "any" }
rates = { off = true }
TOML
}

# The value of a member of a JSON report.
member() { node -p "JSON.parse(require('fs').readFileSync('$1'))['$2']"; }

# What a histogram of the server's metrics, for this read model, says of a quantile: the upper end of the bucket.
quantile() { # ADMIN_PORT HISTOGRAM MODEL QUANTILE
  curl -fsS "http://127.0.0.1:$1/metrics" | grep "^$2_bucket{model=\"$3\"" | node -e "
    const lines = require('fs').readFileSync(0, 'utf8').trim().split('\n');
    const buckets = lines.map((line) => [line.match(/le=\"([^\"]*)\"/)[1], Number(line.split(' ').pop())]);
    const all = buckets.at(-1)[1];
    console.log(\`<= \${buckets.find(([, count]) => count >= all * $4)[0]} s (\${all} batches)\`);"
}
