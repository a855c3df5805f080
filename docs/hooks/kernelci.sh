#!/bin/sh
# For --on-end: posts the report that --kcidb has written to KernelCI. KCIDB_URL is the address for submissions, and
# KCIDB_TOKEN the token; both come from KernelCI.
#     ./sysevent run --kcidb kcidb.json --kcidb-origin mylab --on-end 'sh docs/hooks/kernelci.sh kcidb.json'
set -eu
# The token is not an argument, which every user of this machine could read.
printf 'header = "Authorization: Bearer %s"\n' "$KCIDB_TOKEN" |
    curl --config - --fail --silent --show-error --max-time 50 \
        --header 'Content-Type: application/json' --data-binary "@$1" "$KCIDB_URL"
