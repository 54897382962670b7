#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes configure; needed once in a git checkout.
cd "$(dirname "$0")" && exec autoreconf --install --force --warnings=all
