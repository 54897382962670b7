/* SPDX-License-Identifier: MIT
 *
 * utf8.h - is this text UTF-8? Piece by piece, through the mask. Pure.
 */
#ifndef ROOST_WS_UTF8_H
#define ROOST_WS_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a text stands: between characters, somewhere in one, or beyond repair. */
enum { UTF8_BETWEEN = 0, UTF8_BAD = 255 };

/* Takes p[0..n), each byte XORed with mask[(i) % 4], in state `state`; returns the
 * state after it. A text is good if it ends in UTF8_BETWEEN. Follows RFC 3629, 4:
 * nothing longer than needed, no surrogates, nothing above U+10FFFF. */
uint8_t utf8_take(uint8_t state, const uint8_t *p, size_t n, const uint8_t mask[4]);

/* A whole text in the clear. */
bool utf8_is_valid(const uint8_t *p, size_t n);

#endif
