# SPDX-License-Identifier: MIT
dist_man_MANS = man/roost.yaml.5
nodist_man_MANS = man/roost.8 man/roostctl.8
EXTRA_DIST += man/roost.8.in man/roostctl.8.in man/metrics.awk man/reasons.awk
CLEANFILES += man/roost.8 man/roostctl.8
man_edit = $(SED) -e 's|@sysconfdir[@]|$(sysconfdir)|g' \
	-e 's|@bashcompletiondir[@]|$(bashcompletiondir)|g'
# the lists of METRICS and REASONS are made of the tables
man_tables = src/admin/metrics.def src/base/reasons.def src/base/causes.def
man/roost.8: man/roost.8.in man/metrics.awk man/reasons.awk $(man_tables) Makefile
	$(AM_V_GEN)mkdir -p man && \
	  $(AWK) -f $(srcdir)/man/metrics.awk $(srcdir)/src/admin/metrics.def > $@.metrics && \
	  $(AWK) -f $(srcdir)/man/reasons.awk $(srcdir)/src/base/reasons.def > $@.reasons && \
	  $(AWK) -f $(srcdir)/man/reasons.awk $(srcdir)/src/base/causes.def > $@.causes && \
	  $(man_edit) -e '/^@metrics[@]$$/r '$@.metrics -e '/^@metrics[@]$$/d' \
	    -e '/^@reasons[@]$$/r '$@.reasons -e '/^@reasons[@]$$/d' \
	    -e '/^@causes[@]$$/r '$@.causes -e '/^@causes[@]$$/d' \
	    $(srcdir)/man/roost.8.in > $@ && rm -f $@.metrics $@.reasons $@.causes
man/roostctl.8: man/roostctl.8.in Makefile
	$(AM_V_GEN)mkdir -p man && $(man_edit) $(srcdir)/man/roostctl.8.in > $@
