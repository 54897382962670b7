/* SPDX-License-Identifier: MIT
 *
 * fuzz.h - what fuzz targets have in common.
 *
 * What must hold stops the program, so that libFuzzer and make check see it alike.
 */
#ifndef ROOST_TESTS_FUZZ_FUZZ_H
#define ROOST_TESTS_FUZZ_FUZZ_H

#include "base/str.h"
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void
must(bool holds)
{
	if (!holds)
		abort();
}

static inline bool
lies_within(struct str s, const char *p, size_t n)
{
	return s.n == 0 || (s.p >= p && s.n <= n && s.p + s.n <= p + n);
}

/* Without a byte that could end a header line. */
static inline bool
is_one_line(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (((unsigned char)s.p[i] < 0x20 && s.p[i] != '\t') || s.p[i] == 0x7f)
			return false;
	return true;
}

/* Cuts what is before the next `end` off the input, all of it where there is none. */
static inline struct str
cut_at(struct str *input, char end)
{
	const char *at = input->n ? memchr(input->p, end, input->n) : NULL;
	struct str piece = {input->p, at ? (size_t)(at - input->p) : input->n};

	input->p += piece.n + (at != NULL);
	input->n -= piece.n + (at != NULL);
	return piece;
}

/* The input's next byte; 0 where it is used up. */
static inline unsigned
cut_byte(struct str *input)
{
	if (input->n == 0)
		return 0;
	input->n--;
	return (unsigned char)*input->p++;
}

/* Where to cut a stream: the next of a row of pieces, 1 to `most` bytes. */
static inline size_t
next_cut(uint32_t *seed, size_t most)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (*seed >> 16) % most + 1;
}

#endif
