/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVE_H
#define SERVE_H

/*
 * Passes each request from fd 0 to the worker of its ABI, and the reply to fd 1, until BYE or the end of the input.
 * workers: count strings "<ABI number>:<path>". The exit code: 0 after BYE, 1 after the end of the input, 2 when
 * workers is malformed.
 */
int serve(char **workers, int count, char **envp);

#endif
