/* SPDX-License-Identifier: MIT
 *
 * graveyard.c - frees dead objects after the loop turn in which they died.
 */
#include "loop/graveyard.h"

#include <stddef.h>

void
graveyard_add(struct graveyard *y, struct grave *grave, void (*bury)(struct grave *))
{
	grave->bury = bury;
	grave->next = y->first;
	y->first = grave;
}

void
graveyard_bury(struct graveyard *y)
{
	while (y->first) {
		struct grave *grave = y->first;

		y->first = grave->next;
		grave->bury(grave);
	}
}
