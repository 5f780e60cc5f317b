#!/usr/bin/env bash
# From a bare machine (an NVIDIA driver and Python 3.11 or newer; packages from the index that pip is set to) to figures
# in files: tests that compare devices, benchmarks/speed.py, a leaderboard run.
#
#     OUT=figures bash benchmarks/gpu.sh [--device cuda] [--short] [--python PYTHON]
#
# --python takes an environment that has the package; --device cpu --short is a rehearsal on any machine.
set -euo pipefail
cd "$(dirname "$0")/.."
device=cuda short= python=
while [ $# -gt 0 ]; do
    case $1 in
        --device) device=$2; shift 2 ;;
        --short) short=1; shift ;;
        --python) python=$2; shift 2 ;;
        *) echo "unknown argument: $1" >&2; exit 2 ;;
    esac
done
out=${OUT:-figures}
mkdir -p "$out"
if [ -z "$python" ]; then
    environment=$(mktemp -d)/env
    python3 -m venv "$environment"
    python=$environment/bin/python
    "$python" -m pip install --quiet --editable '.[all,bench,dev]'
fi
"$python" -c "import torch; from vetime_plugins.network.devices import choose_device as choose; print(choose('$device'), torch.__version__)" \
    | tee "$out/device.txt"
status=0
"$python" -m pytest tests/retrieval/test_device.py -q > "$out/tests.txt" 2>&1 || status=$?
speed=(--device "$device" --output "$out/speed.json" --picture "$out/speed.png")
task=(generated --detectors vetime --device "$device" --out "$out/leaderboard")
if [ -n "$short" ]; then
    speed+=(--models small pyod-iforest --lengths 512 --variables --repeats 1 --rows-only)
    task+=(--limit 2)
fi
"$python" benchmarks/speed.py "${speed[@]}" > "$out/speed.md" || status=$?
"$python" -m vetime_plugins leaderboard run "${task[@]}" > "$out/leaderboard.txt" 2>&1 || status=$?
exit "$status"
