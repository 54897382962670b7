/* SPDX-License-Identifier: MIT
 *
 * slips.h - warns of what a configuration may say, and hardly ever means.
 *
 * For `roost -t`: a line on standard error for each, with its place in the file.
 */
#ifndef ROOST_DAEMON_SLIPS_H
#define ROOST_DAEMON_SLIPS_H

struct config;

void slips_tell(const struct config *config);

#endif
