#!/usr/bin/env bash
# How full the disk is: JSON comes on stdin, JSON goes to stdout, and what goes to stderr is a log.
set -euo pipefail

read -r path
path=${path//\"/}
echo "looking at ${path}" >&2
df -P "$path" | awk 'NR == 2 { sub("%", "", $5); printf "{\"path\": \"%s\", \"percent\": %d, \"freeKb\": %d}\n", $6, $5, $4 }'
