/* SPDX-License-Identifier: MIT
 *
 * latency.c - how fast a backend answers; see latency.h.
 *
 * The upper half of the word is a float, the average in microseconds, the lower half
 * the time of the last sample in milliseconds (it comes round after 49 days; an average
 * that old is taken for a young one, and mended by the next sample).
 *
 * A sample weighs as much as the time since the one before it: many in a burst say no
 * more than one. WINDOW_MS is long enough for single slow pages not to matter and short
 * enough to follow a backend that gets into trouble; until it does, the load that piles
 * up there speaks. FORGET_MS: without samples the average halves in that time; a backend
 * whose first answers were slow must not be left alone for minutes.
 */
#include "balance/latency.h"

#include <string.h>

enum { WINDOW_MS = 2000, FORGET_MS = 5000 };

static float
word_average(uint64_t word)
{
	uint32_t bits = (uint32_t)(word >> 32);
	float average;

	memcpy(&average, &bits, sizeof average);
	return average;
}

static uint64_t
word_of(float average, uint64_t now_ms)
{
	uint32_t bits;

	memcpy(&bits, &average, sizeof bits);
	return (uint64_t)bits << 32 | (uint32_t)now_ms;
}

/* Another thread's sample may be from a moment ago that is still to come here. */
static uint32_t
word_age_ms(uint64_t word, uint64_t now_ms)
{
	uint32_t age = (uint32_t)now_ms - (uint32_t)word;

	return age > UINT32_MAX - WINDOW_MS ? 0 : age;
}

uint64_t
latency_add(uint64_t word, uint64_t sample_us, uint64_t now_ms)
{
	float sample = sample_us ? (float)sample_us : 1, average, part;
	uint32_t age = word_age_ms(word, now_ms);

	if (word == 0)
		return word_of(sample, now_ms);
	if (age == 0)
		age = 1;
	average = word_average(word);
	part = (float)age / ((float)age + WINDOW_MS);
	return word_of(average + (sample - average) * part, now_ms);
}

double
latency_now(uint64_t word, uint64_t now_ms)
{
	uint32_t age = word_age_ms(word, now_ms);
	uint32_t halvings = age / FORGET_MS, rest = age % FORGET_MS;

	if (halvings > 30)
		return 0;
	/* a straight line between one halving and the next */
	return (double)word_average(word) / (double)(UINT32_C(1) << halvings) *
	       (1 - (double)rest / (2 * FORGET_MS));
}
