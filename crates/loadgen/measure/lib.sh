# What the measurements have in common: release binaries, an installation in a temporary folder, ports of its own.
#
# Set by the caller if it likes: HELIOGRAPH_BIN, HELIOGRAPH_LOAD_BIN, MEASURE_PORT (the first of ten ports).
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

end() {
  for pid in "${pids[@]}"; do kill -INT "$pid" 2>/dev/null && wait "$pid" || true; done
  if [ -n "$postmaster" ] && kill -INT "$postmaster" 2>/dev/null; then
    while kill -0 "$postmaster" 2>/dev/null; do sleep 0.1; done
  fi
  rm -rf "$data"
}
trap end EXIT

# Waits for the process that was started last, whose health is on this port.
ready() {
  for _ in $(seq 1 600); do
    curl -fs "http://127.0.0.1:$1/health/ready" >/dev/null && return
    kill -0 "${pids[0]}" 2>/dev/null || { echo 'the server ended early:' >&2; tail -30 "$log" >&2; exit 1; }
    sleep 0.1
  done
  echo 'the server does not get ready' >&2; exit 1
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

# Node N, from 1, on the database and with the secrets of `dev`: plain HTTP on $port + 1 + 2 N, health on the next.
start_node() {
  local at=$((port + 1 + 2 * $1))
  cat >"$data/node$1.toml" <<TOML
server = { http = "127.0.0.1:$at", admin = "127.0.0.1:$((at + 1))" }
secrets = { file = "$data/secrets.toml" }
verification = { fixed_code = "123456", sessions_per_number = "any" }
rates = { off = true }
TOML
  DATABASE_URL=$(cat "$data/database.url") RUST_LOG=warn "$server" serve --config "$data/node$1.toml" >>"$log" 2>&1 &
  pids=($! "${pids[@]}")
  ready $((at + 1))
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
