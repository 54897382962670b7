/* SPDX-License-Identifier: MIT
 *
 * nearest.c - which of the known words did somebody mean? The one with the smallest
 * edit distance; swapped neighbours count as one edit, being the commonest slip.
 */
#include "config/nearest.h"

enum { WORD_MAX = 40 };

static unsigned
min2(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Optimal string alignment, with the last three rows of the matrix. */
static unsigned
edit_distance(struct str a, struct str b)
{
	unsigned rows[3][WORD_MAX + 1];

	for (unsigned j = 0; j <= b.n; j++)
		rows[0][j] = j;
	for (unsigned i = 1; i <= a.n; i++) {
		unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3];
		const unsigned *second = rows[(i + 1) % 3];

		row[0] = i;
		for (unsigned j = 1; j <= b.n; j++) {
			bool same = a.p[i - 1] == b.p[j - 1];

			row[j] =
			    min2(min2(row[j - 1], above[j]) + 1, above[j - 1] + !same);
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] &&
			    a.p[i - 2] == b.p[j - 1])
				row[j] = min2(row[j], second[j - 2] + 1);
		}
	}
	return rows[a.n % 3][b.n];
}

void
nearest_offer(struct nearest *nearest, const char *word)
{
	struct str known = str_of(word), wanted = nearest->wanted;
	unsigned far = known.n > 8 ? (unsigned)known.n / 3 : 2, distance;

	if (wanted.n == 0 || wanted.n > WORD_MAX || known.n > WORD_MAX)
		return;
	distance = edit_distance(wanted, known);
	if (distance > far || distance >= known.n || distance >= wanted.n)
		return;
	if (!nearest->best || distance < nearest->distance) {
		nearest->best = word;
		nearest->distance = distance;
	}
}
