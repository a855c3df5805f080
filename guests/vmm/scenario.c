/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The interpreter: one step of a request after the other, and what each of them gave. */
#include "sys.h"
#include "wire.h"
#include "machine.h"
#include "steps.h"
#include "scenario.h"

#define RESULT_HEADER 16
#define REPLY_HEADER 8

static void fill_result(u8 *at, u16 op, u16 flags, u32 length, int ret)
{
	s32 value = ret < 0 ? -1 : ret, error = ret < 0 ? -ret : 0;

	memcpy(at, &op, 2);
	memcpy(at + 2, &flags, 2);
	memcpy(at + 4, &length, 4);
	memcpy(at + 8, &value, 4);
	memcpy(at + 12, &error, 4);
}

int scenario_run(const struct frame *request, struct frame *reply)
{
	struct input steps = {request->body, request->length, 0};
	struct output out = {reply->body, REPLY_HEADER, WIRE_BODY_MAX};
	u32 count, done = 0;
	u16 state = STATE_DONE, done16;
	s32 detail = 0;
	int stuck = 0, opened = machine_open();

	take_u32(&steps); /* the deadline is the supervisor's */
	count = take_u32(&steps);
	if (steps.bad)
		state = STATE_BAD;
	/* A kernel without /dev/kvm, or one that refuses this ABI: the harness sees it in the first step. */
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
		ret = opened < 0 && op != OP_OPEN && op != OP_FILE ? opened : step_do(op, &body, &out, &flags, &stuck);
		fill_result(header, op, flags, (u32)(reply->body + out.used - header - RESULT_HEADER), ret);
		detail = (s32)done;
		if (body.bad)
			state = STATE_BAD;
		else if (stuck)
			state = STATE_STUCK;
		else if (ret < 0 && (wanted & STEP_REQUIRED))
			state = STATE_STOPPED;
	}
	/* Whatever else there was to say: this worker must not be given another scenario. */
	if (machine_close()) {
		stuck = 1;
		state = STATE_STUCK;
	}
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
