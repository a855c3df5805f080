/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVE_H
#define SERVE_H

/*
 * Passes requests from fd 0 to the worker of their ABI and replies to fd 1, until BYE or the end of input.
 * workers: "<abi number>:<path>" each. An exit code: 0 after BYE, else 1.
 */
int serve(char **workers, int count, char **envp);

#endif
