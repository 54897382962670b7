# SPDX-License-Identifier: MIT
dist_man_MANS = man/roost.yaml.5
nodist_man_MANS = man/roost.8 man/roostctl.8
EXTRA_DIST += man/roost.8.in man/roostctl.8.in
CLEANFILES += man/roost.8 man/roostctl.8
man_edit = mkdir -p man && $(SED) -e 's|@sysconfdir[@]|$(sysconfdir)|g' \
	-e 's|@bashcompletiondir[@]|$(bashcompletiondir)|g'
man/roost.8: man/roost.8.in Makefile
	$(AM_V_GEN)$(man_edit) $(srcdir)/man/roost.8.in > $@
man/roostctl.8: man/roostctl.8.in Makefile
	$(AM_V_GEN)$(man_edit) $(srcdir)/man/roostctl.8.in > $@
