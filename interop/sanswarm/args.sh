# Maps the options of the contract (see ../README.md) to those of the command. Sourced by listen and dial.
# Sets: bin, op, args. Ends the script with 2 where we have not what is asked for.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin=${SANSWARM_BIN:-$root/target/release/sanswarm}
unsupported() { echo "not supported: $*" >&2; exit 2; }
[ -x "$bin" ] || { echo "there is no $bin: run install.sh first" >&2; exit 1; }
op=ping args=()
while [ $# -gt 0 ]; do
  case $1 in
    --do|--key|--with|--mss) [ $# -gt 1 ] || { echo "$1 needs a value" >&2; exit 2; } ;;
  esac
  case $1 in
    --do) case $2 in ping|identify|echo|perf) op=$2 ;; *) unsupported "--do $2" ;; esac; shift 2 ;;
    # A kind of key, not a file: ours are Ed25519. A peer may have any.
    --key) [ "$2" = ed25519 ] || unsupported "--key $2"; shift 2 ;;
    --with|--mss) unsupported "$1 $2" ;;
    *) args+=("$1"); shift ;;
  esac
done
