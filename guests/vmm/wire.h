/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The protocol between the harness and the VMM. All numbers are little-endian.
 * src/sysevent/wire.py is the harness's side; tests/test_wire.py checks that both agree.
 *
 *   frame   = key | kind u16 | abi u16 | sequence u32 | length u32 | crc32 of all before | body | crc32 of all
 *   request = deadline_ms u32 | steps u32 | step...
 *   step    = op u16 | flags u16 | length u32 | body
 *   reply   = state u16 | steps done u16 | detail i32 | kernel | result... | log
 *   kernel  = taint before u64 | taint after u64 | errno of the log u16 | errno of the taint u16 | flags u32
 *           | bytes of the log from before the scenario u32 | bytes of the log u32
 *   result  = op u16 | flags u16 | length u32 | ret i32 | errno i32 | body
 *
 * A request whose abi is WIRE_SUPERVISOR is for the supervisor itself: OP_PROGRAM is its only step.
 * src/sysevent/framing.py says what the key is for.
 */
#ifndef WIRE_H
#define WIRE_H

#include "types.h"

#define WIRE_VERSION 5
#define WIRE_SUPERVISOR 0
#define WIRE_KEY 16
#define WIRE_NO_KEY "SEV2" /* then zeros */
#define WIRE_HEADER 32
#define WIRE_CRC 4
#define WIRE_BODY_MAX (1u << 20)

enum wire_kind {
	WIRE_HELLO = 1,	  /* from the VMM, first: version u32, abi u32, release and machine of uname, build id */
	WIRE_REQUEST = 2, /* to the VMM: one scenario */
	WIRE_REPLY = 3,	  /* from the VMM: the results of its steps */
	WIRE_BYE = 4,	  /* to the VMM: no more scenarios, exit */
	WIRE_PING = 5,	  /* to the VMM: the key of all further frames, with WIRE_NO_KEY; answered by a HELLO */
};

enum wire_state {
	STATE_DONE = 0,	     /* every step ran */
	STATE_STOPPED = 1,   /* a required step failed: detail is its index, the steps after it did not run */
	STATE_STUCK = 2,     /* KVM_RUN did not return after a signal: detail is the step */
	STATE_DIED = 3,	     /* the worker died: detail is the signal, or minus its exit code */
	STATE_HUNG = 4,	     /* the worker did not answer before the deadline and was killed */
	STATE_NO_WORKER = 5, /* no VMM of this ABI, or it cannot be started: detail is errno */
	STATE_BAD = 6,	     /* the request is malformed: detail is the step */
};

enum wire_op {
	OP_VM = 1,	 /* KVM_CREATE_VM's machine type u64; 0: arch_machine_type() */
	OP_MEMORY = 2,	 /* gpa u64, size u64, slot u32, optionally its flags u32 */
	OP_WRITE = 3,	 /* gpa u64, bytes */
	OP_READ = 4,	 /* gpa u64, length u32 -> bytes */
	OP_VCPU = 5,	 /* id u32, feature words u32[] */
	OP_ENTRY = 6,	 /* vcpu u32, 0 u32, pc u64, argument registers u64[] */
	OP_IOCTL = 7,	 /* fd u32, request u32, argument u64, buffer -> buffer */
	OP_START = 8,	 /* vcpu u32, poison u32 */
	OP_WAIT = 9,	 /* vcpu u32, milliseconds u32 -> exit */
	OP_SLEEP = 10,	 /* milliseconds u32: that many sleeps of 1 ms */
	OP_HEAD = 12,	 /* vcpu u32, offset u32, bytes: written to kvm_run at the next start, over the poison */
	OP_OPEN = 13,	 /* flags u32, path: opened and closed */
	OP_FILE = 14,	 /* offset u32, length u32, path, or path, 0 and text -> bytes, or lines with the text */
	OP_WATCH = 15,	 /* gpa u64, milliseconds u32, optionally u32: waits until the u64 there changes, or is not 0 */
	OP_DEVICE = 16,	 /* type u32: KVM_CREATE_DEVICE, one for each VM */
	OP_PROGRAM = 17, /* a program, see below -> how it ended, and what it printed */
	OP_COVER = 18,	 /* words u32: begins to record addresses; 0 -> the addresses since then, see below */
};

/* The part of a reply that the supervisor fills in: what the kernel logged. The worker leaves LOG_MAX bytes for the log. */
#define REPLY_HEADER 40
#define LOG_MAX 16384
#define LOG_LOST 1u /* the kernel overwrote messages before they were read */
#define LOG_CUT 2u  /* some did not fit */

#define STEP_REQUIRED 1u /* an error ends the scenario */

/*
 * OP_START's poison: the byte, or START_KEEP to leave kvm_run as the last exit left it. With START_SIGNALLED a signal is
 * pending when KVM_RUN begins.
 */
#define START_KEEP 0x100u
#define START_SIGNALLED 0x200u

/*
 * OP_IOCTL without a buffer passes the argument itself. With a buffer it passes the buffer's address. For a structure
 * that holds a pointer, the buffer also holds the value that the pointer is to point to, and the argument says where:
 * offset of the value | offset of the pointer << 32. The reply has 0 in place of the pointer.
 */
/* OP_IOCTL's fd */
#define FD_SYSTEM 0u
#define FD_VM 1u
#define FD_VCPU 2u /* + vcpu */
#define FD_DEVICE 0x100u

/* flags of a WAIT's result */
#define EXIT_KICKED 1u	/* the watchdog ended KVM_RUN with a signal */
#define EXIT_RUNNING 2u /* still inside KVM_RUN after the signal: stuck */

/*
 * exit = microseconds u32 | tail bytes changed u32 | first of them u32 (offset in kvm_run) | registers u32
 *      | length of the tail u32 | microseconds of CPU time u32 | kvm_run's first RUN_HEAD bytes | registers u64[] | the tail
 * The tail is kvm_run from the first to the last of the bytes that changed behind RUN_HEAD.
 */
#define EXIT_FIXED 24
#define RUN_HEAD 320 /* head, the 256 bytes of the union, kvm_valid_regs, kvm_dirty_regs, 16 bytes of s.regs */

/*
 * OP_COVER records which addresses of the kernel the worker's threads execute, up to so many words for each thread.
 * What it returns at the end is a set, in no order, of at most COVER_MAX:
 *   1 if some are missing, else 0, u32 | 0 u32 | the lowest address u64 | the distance of each from it u32[]
 */
#define COVER_FIXED 16
#define COVER_MAX 8192

/*
 * OP_PROGRAM starts a program, or continues to follow the one that runs when it has no arguments:
 *   milliseconds u32 | flags u32 | length of the text u32 | of the input u32 | arguments u32 | variables u32
 *   | text | input | arguments and variables, each with a final 0
 * It lasts until the program has ended, until one of its streams has the text since the step began, or until the
 * program is killed after so many milliseconds. The result, in which the status is that of wait4():
 *   status u32 | milliseconds u32 | milliseconds of CPU time u32 | most memory in KiB u32 | length of each stream u32[3]
 *   | standard output | standard error | what it wrote to file descriptor 3
 */
#define PROGRAM_FIXED 28
#define PROGRAM_STREAMS 3
/* In all steps of a program: what a pipe holds, so that it can be written before the program reads. */
#define PROGRAM_INPUT_MAX 16384
/* Of each stream in one step; what follows is dropped. */
#define PROGRAM_OUTPUT_MAX 131072

/* flags of an OP_PROGRAM */
#define PROGRAM_MERGED 1u /* standard error goes where standard output goes */
#define PROGRAM_OPEN 2u	  /* standard input stays open behind the input */
#define PROGRAM_LEAVE 4u  /* it goes on when its time is over */

/* flags of its result */
#define PROGRAM_ENDED 1u  /* it has ended: the status is valid */
#define PROGRAM_KILLED 2u /* it was killed: its time was over, or the channel to the harness has ended */
#define PROGRAM_STUCK 4u  /* it did not end although it was killed */
#define PROGRAM_CUT 8u	  /* some output was dropped */
#define PROGRAM_FOUND 16u /* its output had the text */

#endif
