#!/usr/bin/env bash
# A piece of the training of the expectation network, on a machine that starts bare (an NVIDIA driver and Python 3.11 or
# newer; packages from the index that pip is set to) and is taken away after it: the state comes back in files.
#
#     OUT=piece bash benchmarks/train_on_gpu.sh RUN [--config FILE] [--start WEIGHTS] [--backgrounds NPZ]
#                                               [--seconds 480] [--device cuda] [--python PYTHON]
#
# RUN is the folder of the run so far, empty at the beginning. $OUT gets the same folder a piece later: what to give as
# RUN the next time. Its largest file, the state, has 12 MB. NPZ is what
# `vetime_plugins.synthesis.backgrounds.save_backgrounds` writes; a configuration with real series needs it. --python takes
# an environment that has the package; --device cpu --seconds 5 is a rehearsal anywhere.
set -euo pipefail
run= device=cuda seconds=480 python= options=()
while [ $# -gt 0 ]; do
    case $1 in
        --device) device=$2; shift 2 ;;
        --seconds) seconds=$2; shift 2 ;;
        --python) python=$(realpath -s "$2"); shift 2 ;;
        --config | --start | --backgrounds) options+=("$1" "$(realpath "$2")"); shift 2 ;;
        -*) echo "unknown argument: $1" >&2; exit 2 ;;
        *) run=$(realpath -m "$1"); shift ;;
    esac
done
[ -n "$run" ] || { echo "the folder of the run is missing" >&2; exit 2; }
out=$(realpath -m "${OUT:-piece}")
cd "$(dirname "$0")/.."
mkdir -p "$out"
[ ! -d "$run" ] || cp -R "$run/." "$out/"
if [ -z "$python" ]; then
    environment=$(mktemp -d)/env
    python3 -m venv "$environment"
    python=$environment/bin/python
    "$python" -m pip install --quiet --editable '.[cli]'
fi
"$python" -m vetime_plugins.training.expectation "$out" --seconds "$seconds" \
    --device "$device" ${options[@]+"${options[@]}"}
