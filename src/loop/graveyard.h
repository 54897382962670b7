/* SPDX-License-Identifier: MIT
 *
 * graveyard.h - frees dead objects after the loop turn in which they died.
 *
 * No object disappears under a callback that is still on the stack.
 * Owner and thread: the loop.
 */
#ifndef ROOST_LOOP_GRAVEYARD_H
#define ROOST_LOOP_GRAVEYARD_H

struct grave {
	struct grave *next;
	void (*bury)(struct grave *grave); /* frees the object around it */
};

struct graveyard {
	struct grave *first;
};

void graveyard_add(struct graveyard *y, struct grave *grave,
    void (*bury)(struct grave *));
void graveyard_bury(struct graveyard *y);

#endif
