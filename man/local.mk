# SPDX-License-Identifier: MIT
dist_man_MANS = man/roost.yaml.5
nodist_man_MANS = man/roost.8 man/roostctl.8
EXTRA_DIST += man/roost.8.in man/roostctl.8.in man/metrics.awk
CLEANFILES += man/roost.8 man/roostctl.8
man_edit = $(SED) -e 's|@sysconfdir[@]|$(sysconfdir)|g' \
	-e 's|@bashcompletiondir[@]|$(bashcompletiondir)|g'
# the chapter METRICS is made of the table
man/roost.8: man/roost.8.in man/metrics.awk src/admin/metrics.def Makefile
	$(AM_V_GEN)mkdir -p man && \
	  $(AWK) -f $(srcdir)/man/metrics.awk $(srcdir)/src/admin/metrics.def > $@.metrics && \
	  $(man_edit) -e '/^@metrics[@]$$/r '$@.metrics -e '/^@metrics[@]$$/d' \
	    $(srcdir)/man/roost.8.in > $@ && rm -f $@.metrics
man/roostctl.8: man/roostctl.8.in Makefile
	$(AM_V_GEN)mkdir -p man && $(man_edit) $(srcdir)/man/roostctl.8.in > $@
