/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The interpreter: carries out the steps of a request in order and collects their results. */
#include "sys.h"
#include "wire.h"
#include "vm.h"
#include "steps.h"
#include "scenario.h"

#define RESULT_HEADER 16

static void fill_result(u8 *at, u16 op, u16 flags, u32 length, int ret)
{
	s32 value = ret < 0 ? -1 : ret, error = ret < 0 ? -ret : 0;

	memcpy(at, &op, 2);
	memcpy(at + 2, &flags, 2);
	memcpy(at + 4, &length, 4);
	memcpy(at + 8, &value, 4);
	memcpy(at + 12, &error, 4);
}

static int needs_kvm(u16 op)
{
	return op != OP_OPEN && op != OP_FILE && op != OP_COVER;
}

/*
 * The vCPUs, as bits, of the short waits that follow at once. Their vCPUs, such as peers that count, end together with
 * that of the wait before: one by one, each would wait for the slices of those that go on.
 */
static u32 short_waits(struct input steps, u32 left)
{
	u32 vcpus = 0;

	for (; left; left--) {
		u16 op, flags;
		u32 length, vcpu, milliseconds;

		take(&steps, &op, 2);
		take(&steps, &flags, 2);
		length = take_u32(&steps);
		vcpu = take_u32(&steps);
		milliseconds = take_u32(&steps);
		if (steps.bad || op != OP_WAIT || length != 8 || vcpu >= VCPUS_MAX || milliseconds > SHORT_WAIT)
			break;
		vcpus |= 1u << vcpu;
	}
	return vcpus;
}

int scenario_run(const struct frame *request, struct frame *reply)
{
	struct input steps = {request->body, request->length, 0};
	struct output out = {reply->body, REPLY_HEADER, WIRE_BODY_MAX - LOG_MAX};
	u32 count, done = 0;
	u16 state = STATE_DONE, done16;
	s32 detail = 0;
	int stuck = 0, opened = vm_open();

	/* The deadline, which the supervisor enforces. */
	take_u32(&steps);
	count = take_u32(&steps);
	if (steps.bad)
		state = STATE_BAD;
	/* When /dev/kvm cannot be opened, the first step that needs it fails with that error. */
	for (; done < count && state == STATE_DONE; done++) {
		u16 op, wanted, flags = 0;
		struct input body;
		u32 length;
		u8 *header;
		int ret;

		take(&steps, &op, 2);
		take(&steps, &wanted, 2);
		length = take_u32(&steps);
		header = steps.bad || length > steps.left ? NULL : give(&out, RESULT_HEADER);
		if (!header) {
			state = STATE_BAD;
			detail = (s32)done;
			break;
		}
		body = (struct input){steps.at, length, 0};
		steps.at += length;
		steps.left -= length;
		vm.end_together = op == OP_WAIT ? short_waits(steps, count - done - 1) : 0;
		ret = opened < 0 && needs_kvm(op) ? opened : step_do(op, &body, &out, &flags, &stuck);
		fill_result(header, op, flags, (u32)(reply->body + out.used - header - RESULT_HEADER), ret);
		detail = (s32)done;
		if (body.bad)
			state = STATE_BAD;
		else if (stuck)
			state = STATE_STUCK;
		else if (ret < 0 && (wanted & STEP_REQUIRED))
			state = STATE_STOPPED;
	}
	/* Overrides any other state: this worker must not get another scenario. */
	if (vm_close()) {
		stuck = 1;
		state = STATE_STUCK;
	}
	/* The supervisor fills in the kernel's part. */
	memset(reply->body, 0, REPLY_HEADER);
	done16 = (u16)done;
	memcpy(reply->body, &state, 2);
	memcpy(reply->body + 2, &done16, 2);
	memcpy(reply->body + 4, &detail, 4);
	reply->kind = WIRE_REPLY;
	reply->abi = ABI_NUMBER;
	reply->sequence = request->sequence;
	reply->length = out.used;
	return stuck;
}
