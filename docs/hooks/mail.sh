#!/bin/sh
# For --on-end: mails the report of a run that did not pass to the addresses that are given as arguments.
#     ./sysevent run --on-end 'sh docs/hooks/mail.sh lab@example.org'
set -eu
[ "$SYSEVENT_EXIT" != 0 ] || exit 0
{
    printf 'To: %s\n' "$*"
    printf 'Subject: sysevent on %s: %s FAIL, %s ERROR, %s MISS\n' \
        "$(uname -n)" "$SYSEVENT_FAIL" "$SYSEVENT_ERROR" "$SYSEVENT_MISS"
    printf 'Content-Type: text/plain; charset=utf-8\n\n'
    [ -z "$SYSEVENT_REASON" ] || printf '%s\n\n' "$SYSEVENT_REASON"
    cat
    printf '\nresults: %s\n' "$SYSEVENT_RESULTS"
} | sendmail "$@"
