/* SPDX-License-Identifier: MIT
 *
 * banned.h - functions that must not be used; each has a bounded sibling.
 * Included by config.h for every file of ours, after the system's headers that
 * declare them.
 */
#ifndef ROOST_BASE_BANNED_H
#define ROOST_BASE_BANNED_H

#include <stdio.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets strtok
#pragma GCC poison gmtime localtime ctime asctime

#endif
