/* SPDX-License-Identifier: MIT
 *
 * object.h - marks that the compiler and debug builds check for us.
 *
 * MAGIC puts a number into a struct in debug builds, and magic_check stops the
 * program where a pointer is not what its type says. Release builds pay nothing.
 */
#ifndef ROOST_BASE_OBJECT_H
#define ROOST_BASE_OBJECT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, args) __attribute__((format(printf, text, args)))

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#ifdef ROOST_DEBUG
#define MAGIC uint32_t magic;
#define magic_set(object, value) ((object)->magic = (value))
#define magic_check(object, value) assert((object)->magic == (value))
#else
#define MAGIC
#define magic_set(object, value) ((void)(object))
#define magic_check(object, value) ((void)(object))
#endif

#endif
