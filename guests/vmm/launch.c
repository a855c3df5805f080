/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys.h"
#include "body.h"
#include "launch.h"
#include "program.h"

/* Takes strings that end with 0; the last pointer is NULL. */
static void take_strings(struct input *in, u32 count, char **strings)
{
	for (u32 i = 0; i < count && !in->bad; i++) {
		strings[i] = (char *)in->at;
		while (in->left && *in->at)
			in->at++, in->left--;
		(void)take(in, &(u8){0}, 1);
	}
	strings[count] = NULL;
}

static const u8 *take_bytes(struct input *in, u32 length)
{
	const u8 *at = in->at;

	if (length > in->left) {
		in->bad = 1;
		return NULL;
	}
	in->at += length;
	in->left -= length;
	return at;
}

static void take_step(struct input *in, struct program_step *step)
{
	take(in, step, 24);
	if (step->arguments > STRINGS_MAX || step->variables > STRINGS_MAX)
		in->bad = 1;
	step->text = take_bytes(in, step->text_length);
	step->input = take_bytes(in, step->input_length);
	if (in->bad)
		return;
	take_strings(in, step->arguments, step->argv);
	take_strings(in, step->variables, step->envp);
	if (in->left)
		in->bad = 1;
}

/* Appends the result of a step; what does not fit of its output is left out. */
static void give_result(struct output *out, int error, struct program_result *result)
{
	u32 lengths[PROGRAM_STREAMS], total = PROGRAM_FIXED, left = out->capacity - out->used - 16 - PROGRAM_FIXED;
	u16 op = OP_PROGRAM;
	s32 ret = error ? -1 : 0, number = -error;

	for (u32 i = 0; i < PROGRAM_STREAMS; i++) {
		lengths[i] = error ? 0 : program_streams[i].used < left ? program_streams[i].used : left;
		if (!error && lengths[i] < program_streams[i].used)
			result->flags |= PROGRAM_CUT;
		left -= lengths[i];
		total += lengths[i];
	}
	give_bytes(out, &op, 2);
	give_bytes(out, &result->flags, 2);
	give_bytes(out, &total, 4);
	give_bytes(out, &ret, 4);
	give_bytes(out, &number, 4);
	give_bytes(out, result, 16);
	give_bytes(out, lengths, sizeof(lengths));
	for (u32 i = 0; i < PROGRAM_STREAMS; i++)
		give_bytes(out, program_streams[i].text, lengths[i]);
}

void launch(const struct frame *request, struct frame *reply)
{
	struct input in = {request->body, request->length, 0};
	struct output out = {reply->body, REPLY_HEADER, WIRE_BODY_MAX - LOG_MAX};
	u16 state = STATE_DONE, done = 0;
	s32 detail = 0;
	u32 steps;

	take_u32(&in);
	steps = take_u32(&in);
	for (u32 i = 0; i < steps && !in.bad && state == STATE_DONE; i++) {
		static struct program_step step;
		struct program_result result = {0, 0, 0, 0, 0};
		u16 op, flags;
		struct input own;

		take(&in, &op, 2);
		take(&in, &flags, 2);
		own.left = take_u32(&in);
		own.at = take_bytes(&in, own.left);
		own.bad = in.bad || op != OP_PROGRAM || out.capacity - out.used < 16 + PROGRAM_FIXED;
		if (!own.bad)
			take_step(&own, &step);
		if (own.bad) {
			state = STATE_BAD;
			detail = (s32)i;
			break;
		}
		give_result(&out, program_do(&step, &result), &result);
		done++;
	}
	if (in.bad)
		state = STATE_BAD;
	reply->length = out.used;
	memset(reply->body, 0, REPLY_HEADER);
	memcpy(reply->body, &state, 2);
	memcpy(reply->body + 2, &done, 2);
	memcpy(reply->body + 4, &detail, 4);
}
