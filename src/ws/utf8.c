/* SPDX-License-Identifier: MIT
 *
 * utf8.c - a state machine over bytes, eight at a time while they are ASCII.
 *
 * A state says which range the next byte must lie in and what comes after it; only the
 * first byte behind a few lead bytes has a range of its own (RFC 3629, 4).
 */
#include "ws/utf8.h"

#include <string.h>

enum {
	TAIL_1 = 1, /* one more tail byte is to come */
	TAIL_2,
	TAIL_3,
	AFTER_E0, /* no overlong form of three bytes */
	AFTER_ED, /* no surrogate */
	AFTER_F0, /* no overlong form of four bytes */
	AFTER_F4  /* nothing above U+10FFFF */
};

#define HIGH_BITS UINT64_C(0x8080808080808080)

static const struct step {
	uint8_t low, high, next;
} steps[] = {
    [TAIL_1] = {0x80, 0xbf, UTF8_BETWEEN},
    [TAIL_2] = {0x80, 0xbf, TAIL_1},
    [TAIL_3] = {0x80, 0xbf, TAIL_2},
    [AFTER_E0] = {0xa0, 0xbf, TAIL_1},
    [AFTER_ED] = {0x80, 0x9f, TAIL_1},
    [AFTER_F0] = {0x90, 0xbf, TAIL_2},
    [AFTER_F4] = {0x80, 0x8f, TAIL_2},
};

/* The state after the first byte of a character. */
static uint8_t
lead(uint8_t byte)
{
	if (byte < 0x80)
		return UTF8_BETWEEN;
	if (byte < 0xc2 || byte > 0xf4)
		return UTF8_BAD;
	switch (byte) {
	case 0xe0: return AFTER_E0;
	case 0xed: return AFTER_ED;
	case 0xf0: return AFTER_F0;
	case 0xf4: return AFTER_F4;
	default: return byte < 0xe0 ? TAIL_1 : byte < 0xf0 ? TAIL_2 : TAIL_3;
	}
}

static uint8_t
take_byte(uint8_t state, uint8_t byte)
{
	if (state == UTF8_BETWEEN)
		return lead(byte);
	if (byte < steps[state].low || byte > steps[state].high)
		return UTF8_BAD;
	return steps[state].next;
}

/* How many bytes from p on, a multiple of 8, are ASCII? */
static size_t
ascii_span(const uint8_t *p, size_t n, const uint8_t mask[4])
{
	uint64_t key, word;
	size_t i;

	memcpy(&key, mask, 4);
	memcpy((uint8_t *)&key + 4, mask, 4);
	for (i = 0; n - i >= sizeof word; i += sizeof word) {
		memcpy(&word, p + i, sizeof word);
		if ((word ^ key) & HIGH_BITS)
			break;
	}
	return i;
}

uint8_t
utf8_take(uint8_t state, const uint8_t *p, size_t n, const uint8_t mask[4])
{
	size_t i = 0;

	while (i < n && state != UTF8_BAD) {
		/* at a multiple of 4 the key lies as it does at the beginning */
		if (state == UTF8_BETWEEN && i % 4 == 0)
			i += ascii_span(p + i, n - i, mask);
		if (i < n)
			state = take_byte(state, p[i] ^ mask[i % 4]);
		i++;
	}
	return state;
}

bool
utf8_is_valid(const uint8_t *p, size_t n)
{
	static const uint8_t clear[4];

	return utf8_take(UTF8_BETWEEN, p, n, clear) == UTF8_BETWEEN;
}
