/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PARAMETERS_H
#define PARAMETERS_H

#include "../vmm/types.h"

/*
 * The parameters of a module on a kernel's command line, such as "npt=0" of "kvm_amd.npt=0", as modprobe passes them
 * to the kernel: those of one line, each with a space behind it. The name of the module has underscores; the line may
 * have '-' in their place. Those that do not fit into out are left out. The number of bytes, without the final zero.
 */
usize module_parameters(const char *module, usize length, const char *line, char *out, usize capacity);

#endif
