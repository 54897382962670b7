# SPDX-License-Identifier: MIT
# The commented sample and the unit go where an administrator finds them; a
# configuration that is already there is never touched.
dist_doc_DATA = etc/roost.yaml
systemdunitdir = $(prefix)/lib/systemd/system
nodist_systemdunit_DATA = etc/roost.service
EXTRA_DIST += etc/roost.service.in
CLEANFILES += etc/roost.service
etc/roost.service: etc/roost.service.in Makefile
	$(AM_V_GEN)mkdir -p etc && $(SED) -e 's|@sbindir[@]|$(sbindir)|g' -e 's|@sysconfdir[@]|$(sysconfdir)|g' $(srcdir)/etc/roost.service.in > $@
